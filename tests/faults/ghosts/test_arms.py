"""The arms of the campaign: the loop of the textbooks must break under the worst ghost, or the others prove nothing."""

import random
import uuid
from collections.abc import Callable

import pytest

from deploy.local.kafka import LocalKafka
from infra.avro.codec import Codec
from tests.faults.ghosts import haunting
from tests.faults.ghosts.clients import CLIENTS
from tests.faults.ghosts.haunting import Haunting
from tests.faults.ghosts.host import DECIDING, Haunt, deposit
from tests.faults.ghosts.loop import Loop
from tests.faults.ghosts.outcome import Batch, Outcome, Variant
from tests.faults.ghosts.proxy import Fate, GhostProxy
from tests.kit.deciding import Installation

pytestmark = pytest.mark.kafka

LOST_ORDER = Variant("EndTxn", Fate.HELD, "after an abort the next one commits")
CONTROL = Variant("EndTxn", Fate.DROPPED, "after an abort the next one commits")


@pytest.fixture
def looping(kafka: LocalKafka, proxy: GhostProxy, fresh_topic: Callable[..., str]) -> Callable[[str], Loop]:
    def make(arm: str) -> Loop:
        if why := CLIENTS[arm].missing():
            pytest.skip(why)
        client = CLIENTS[arm](proxy.bootstrap, kafka.bootstrap, f"loop-{uuid.uuid4().hex[:6]}")
        return Loop(client, kafka.bootstrap, fresh_topic(1), fresh_topic(2), proxy)

    return make


async def test_the_loop_of_the_textbooks_loses_an_order_to_a_late_abort(looping: Callable[[str], Loop]) -> None:
    loop = looping("textbook")
    outcome, without = await loop.play(LOST_ORDER, 0), await loop.play(CONTROL, 1)
    loop.close()
    assert outcome is not None
    assert without is not None
    assert outcome.lost == ["0"], "a proxy that harms nobody proves nothing of those it does not harm"
    assert outcome.told == [], "it was not even told"
    assert not without.is_violated


async def test_the_client_in_java_loses_nothing_to_a_late_abort(looping: Callable[[str], Loop]) -> None:
    loop = looping("java")
    outcome = await loop.play(LOST_ORDER, 0)
    loop.close()
    assert outcome is not None
    assert outcome.is_delivered
    assert not outcome.is_violated


@pytest.mark.parametrize("variant", haunting.variants(), ids=lambda variant: variant.name)
async def test_the_host_keeps_every_promise(
    variant: Variant, kafka: LocalKafka, codec: Codec, proxy: GhostProxy
) -> None:
    installation = Installation(kafka.bootstrap, codec, DECIDING)
    haunt = Haunt(installation, "own", proxy)
    async with haunt.kept_running():
        await haunt.decide(deposit("first"))
        playing = Haunting(haunt, kafka.bootstrap, f"{installation.context}.events")
        outcome = await playing.play(variant, 0, random.Random(1))
        playing.close()
    assert outcome is not None
    assert not outcome.is_violated
    assert playing.judge_all(installation.context).verdict({}).is_clean


def test_a_batch_counts_a_trial_that_lost_and_doubled_once() -> None:
    batch = Batch()
    batch.add(Outcome(variant=LOST_ORDER, trial=0, lost=["0"], doubled=["1"], is_delivered=True, ghost=0))
    batch.add(Outcome(variant=LOST_ORDER, trial=1, is_delivered=True, ghost=90))
    figures = batch.figures()
    assert figures[f"{LOST_ORDER.name}: tried"] == 2
    assert figures[f"{LOST_ORDER.name}: violated"] == 1
    assert figures["trials with something lost"] == figures["trials with something doubled"] == 1
    assert figures["ghosts answered with code 90"] == 1
