"""A worker does not start on topics that are not what its agents need, and says which and what to do."""

import uuid

import pytest

from deploy.local.kafka import LocalKafka
from infra.faust.topics import TopicsDiffer, attached, check, topics
from infra.faust.worker import NOT_CONFIGURED
from infra.kafka.topics import TopicSpec, declare
from tests.infra.faust.bench import Bench
from tests.infra.faust.counting import agent_of


def test_changelogs_are_compacted_and_every_source_has_dead_letters() -> None:
    needed = {spec.name: spec.cleanup for spec in topics([lambda app: app.add(agent_of("r"))])}
    assert needed == {
        "tapeline-r.counting-changelog": "compact",
        "r.orders.events.dead": "delete",
        "r.risk.events.dead": "delete",
        "r.executions.messages.dead": "delete",
        "r.lists.dead": "delete",
        "r.market_data.marks.dead": "delete",
    }


def test_an_agent_is_attached_once() -> None:
    agent = agent_of("r")
    with pytest.raises(AssertionError, match="attached twice"):
        attached([lambda app: app.add(agent), lambda app: app.add(agent)])


@pytest.mark.kafka
def test_a_worker_whose_changelog_is_missing_exits_and_names_it(bench: Bench) -> None:
    bench.run = f"{bench.run}x"
    worker = bench.start()
    assert worker.await_death() == NOT_CONFIGURED
    assert f"topic {bench.run}.orders.events is missing: `python main.py prepare` declares it" in worker.log.read_text()


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (TopicSpec(name="orders.events", partitions=3), "has 3 partitions, agents need 4"),
        (
            TopicSpec(name="orders.events", partitions=4, cleanup="compact"),
            "cleanup.policy compact, agents need delete",
        ),
    ],
)
def test_other_partitions_or_another_policy_are_refused(kafka: LocalKafka, changed: TopicSpec, words: str) -> None:
    run = f"t{uuid.uuid4().hex[:8]}"
    app = attached([lambda app: app.add(agent_of(run))], run)
    (agent,) = app.agents
    specs = {name: TopicSpec(name=name, partitions=4) for name in (*agent.sources, agent.commands)}
    specs |= {spec.name: spec for spec in topics([lambda app: app.add(agent)], run)}
    name = f"{run}.{changed.name}"
    specs[name] = TopicSpec(name=name, partitions=changed.partitions, cleanup=changed.cleanup)
    declare(kafka.bootstrap, specs.values())
    with pytest.raises(TopicsDiffer, match=words):
        check(kafka.bootstrap, app)
