"""The copies of price lists: every partition has every list, in order, wherever the effect dies."""

import contextlib

import pytest

from deploy.local.kafka import LocalKafka
from domain.billing.events import PriceList
from infra.avro.codec import Codec
from infra.catalogue import Feed, deciding, fed
from infra.kafka.topics import declare
from infra.settings import PARTITIONS, Settings
from streams.billing import price_lists
from tests.kit.bills import publish, rates, row
from tests.kit.hosting import Broker, Life, at_work, dies
from tests.kit.tape import Tape
from tests.streams.executions.floor import unique

pytestmark = pytest.mark.kafka
LISTS = 4


@pytest.fixture
def broker(kafka: LocalKafka, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The real broker with topics that no other test knows."""
    run = unique("prices")
    for name, value in (("SOURCE", f"{run}.events"), ("FEED", f"{run}.price_lists"), ("NAME", run)):
        monkeypatch.setattr(price_lists, name, value)
    declare(kafka.bootstrap, [*deciding(run), *fed(run, [Feed("price_lists", PriceList, is_whole=True)])])
    return Broker(kafka.bootstrap, codec)


async def published(broker: Broker) -> None:
    """The lists of two tenants, and one that was refused."""
    tape = Tape(broker.codec)
    for number in range(LISTS):
        for tenant in ("acme", "rival"):
            list_ = publish(row(charged=rates(f"0.0{number + 1}")))
            tape.decide("billing", f"prices/{tenant}", list_, tenant=tenant)
    tape.decide("billing", "prices/acme", publish())
    await broker.write(price_lists.SOURCE, tape.arrived)


@pytest.mark.parametrize(("point", "after"), [("taken", 1), ("send", 6), ("sent", 3), ("commit", 1)])
async def test_a_kill_at_any_point_leaves_every_list_in_every_partition(broker: Broker, point: str, after: int) -> None:
    await published(broker)
    life, where = Life(point, after=after), Settings(kafka=broker.bootstrap)
    async with broker.tools(where, life) as tools:
        with contextlib.suppress(BaseExceptionGroup, Exception):
            async with at_work(price_lists.copy, tools) as task:
                await dies(task, life)
    assert life.is_over
    everything = 2 * LISTS
    async with broker.tools(where) as tools, at_work(price_lists.copy, tools):
        for number in range(PARTITIONS):
            kept: list[PriceList] = []
            for arrived in await broker.read(
                price_lists.FEED, lambda found: len({each.value for each in found}) == everything, (number,)
            ):
                assert not arrived.key
                kept.append(broker.codec.decode_observed(arrived.value, PriceList))
            for tenant in ("acme", "rival"):
                first = dict.fromkeys(each.list_version for each in kept if each.tenant == tenant)
                assert list(first) == [1, 2, 3, 4], "a later list stands before an earlier one"
