"""The doctor: every finding that is wrong names its remedy, and nothing it looks at makes it wait for long."""

import time
import uuid
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.local.kafka import LocalKafka
from gateways.operations import status
from gateways.operations.status import Finding
from infra.kafka.topics import TopicSpec, declare
from infra.settings import Settings
from infra.tokens import Mint

pytestmark = pytest.mark.kafka


async def good_database() -> str:
    return "PostgreSQL 16"


async def no_database() -> str:
    raise ConnectionRefusedError("nobody listens")


@pytest.fixture
def where(kafka: LocalKafka, state_dir: Path) -> Settings:
    return Settings(kafka=kafka.bootstrap, state_dir=state_dir, gateway_port=ports.one())


def spec(**changes: object) -> TopicSpec:
    return TopicSpec(**{"name": f"doctor-{uuid.uuid4().hex[:8]}", "partitions": 2, **changes})  # type: ignore[arg-type]  # a test names fields


async def found(where: Settings, *specs: TopicSpec, drift: tuple[str, ...] = ()) -> dict[str, Finding]:
    return {each.what: each for each in await status.doctor(where, specs, drift, good_database)}


async def test_every_wrong_finding_names_its_remedy(where: Settings) -> None:
    missing = spec()
    every = await status.doctor(where, [missing], ["orders.OrderPlaced"], no_database)
    assert [each.what for each in every] == ["topics", "postgres", "contracts", "keys", "gateway"]
    assert not [each for each in every if each.is_good or not each.remedy]
    details = {each.what: each.detail for each in every}
    assert details["topics"] == f"missing: {missing.name}"
    assert details["postgres"] == "does not answer: nobody listens"
    assert details["contracts"] == "not as published: orders.OrderPlaced"


async def test_what_is_as_declared_is_good(where: Settings) -> None:
    declared = spec()
    declare(where.kafka, [declared])
    Mint(where.state_dir)
    every = await found(where, declared)
    assert [name for name, each in every.items() if each.is_good] == ["kafka", "postgres", "contracts", "keys"]
    assert every["kafka"].detail == "1 topics are as declared"


async def test_a_topic_that_was_changed_is_named_with_both_values(where: Settings) -> None:
    there = spec(cleanup="compact")
    declare(where.kafka, [there])
    wanted = TopicSpec(name=there.name, partitions=4)
    topics = (await found(where, wanted))["topics"]
    assert f"{there.name}: partitions are 2, declared 4" in topics.detail
    assert f"{there.name}: cleanup.policy is compact, declared delete" in topics.detail
    assert "prepare" in topics.remedy


async def test_a_broker_that_is_down_is_said_at_once(where: Settings) -> None:
    down = where.model_copy(update={"kafka": f"127.0.0.1:{ports.one()}"})
    began = time.monotonic()
    kafka = (await found(down))["kafka"]
    assert time.monotonic() - began < 3 * status.PROBE_SECONDS_MAX
    assert not kafka.is_good
    assert kafka.detail.startswith(f"{down.kafka} does not answer")
    assert kafka.remedy == "start the broker (`make up`) or set TAPELINE_KAFKA"


async def test_one_broker_of_a_list_is_enough(where: Settings) -> None:
    either = where.model_copy(update={"kafka": f"127.0.0.1:{ports.one()},{where.kafka}"})
    assert (await found(either))["kafka"].is_good


async def test_keys_that_others_can_read_are_named_with_the_command_that_hides_them(where: Settings) -> None:
    Mint(where.state_dir)
    private = where.state_dir / "keys" / "jwks.json"
    private.chmod(0o644)
    keys = (await found(where))["keys"]
    assert (keys.is_good, keys.remedy) == (False, f"chmod 600 {private}")
