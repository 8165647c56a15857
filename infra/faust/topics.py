"""Agents -> the topics they need: those we declare for them, and the check that all are there before a worker starts.

Faust says it is ready with a source missing, and finds out at its first write that a changelog is.
"""

from collections.abc import Iterable

from infra.faust.agent import APP_ID, App, Attach
from infra.kafka.topics import TopicSpec, TopicState, topic_report
from infra.settings import PARTITIONS


class TopicsDiffer(Exception):
    """A topic is missing or is not what the agents need; the message names it and the remedy."""


def attached(agents: Iterable[Attach], app_id: str = APP_ID) -> App:
    """The agents behind these functions."""
    app = App(app_id)
    for attach in agents:
        attach(app)
    return app


def topics(agents: Iterable[Attach], app_id: str = APP_ID) -> list[TopicSpec]:
    """What must be declared for these agents: their changelogs, and the dead letters of their sources."""
    app = attached(agents, app_id)
    specs: dict[str, TopicSpec] = {}
    for agent in app.agents:
        changelog = app.changelog_of(agent)
        specs[changelog] = TopicSpec(name=changelog, partitions=PARTITIONS, cleanup="compact")
        for source in agent.sources:
            specs[f"{source}.dead"] = TopicSpec(name=f"{source}.dead", partitions=PARTITIONS)
    return list(specs.values())


def check(bootstrap: str, app: App) -> None:
    """Raise TopicsDiffer unless every topic of these agents is as they need it. Blocking: before any loop."""
    found = {state.name: state for state in topic_report(bootstrap)}
    for agent in app.agents:
        for source in agent.sources:
            _check(found, source, cleanup="delete")
            _check(found, f"{source}.dead", cleanup="delete")
        _check(found, agent.commands, cleanup="delete")
        _check(found, app.changelog_of(agent), cleanup="compact")


def _check(found: dict[str, TopicState], name: str, cleanup: str) -> None:
    state = found.get(name)
    if state is None:
        raise TopicsDiffer(f"topic {name} is missing: `python main.py prepare` declares it")
    if state.partitions != PARTITIONS:
        raise TopicsDiffer(
            f"topic {name} has {state.partitions} partitions, agents need {PARTITIONS}: "
            "a key must have one partition number in all topics; begin a new topic and replay"
        )
    policy = state.config["cleanup.policy"]
    if policy != cleanup:
        raise TopicsDiffer(
            f"topic {name} has cleanup.policy {policy}, agents need {cleanup}: set it with kafka-configs.sh --alter"
        )
