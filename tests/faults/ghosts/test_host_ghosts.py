"""The ghosts of test_ghosts.py against the real host of deciders: what counts is what its readers see on the tape.

Each trial steals a request of the host's writer, waits until the command is decided all the same, brings the stolen
id's turn round with other commands, and lets the ghost loose inside the open transaction of that id. A host that ends
itself is started again, as its supervisor would do; every command must have exactly one event whatever happened.
"""

import pytest

from deploy.local.kafka import LocalKafka
from domain.kernel.messages import OwnershipTaken
from infra.avro.codec import Codec
from infra.kafka.chain import Link, follow
from infra.kafka.writer import IDS_PER_PARTITION
from tests.faults.ghosts.host import DECIDING, Haunt, deposit
from tests.faults.ghosts.proxy import END_TXN, PRODUCE, GhostProxy
from tests.kit.deciding import ARMS, Installation

pytestmark = pytest.mark.kafka

TRIALS = 6
KINDS = {"produce": PRODUCE, "end": END_TXN}
REFUSALS = {47, 48, 90, None}
"""INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, PRODUCER_FENCED, or the broker only closed the connection."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arm", ARMS)
async def test_no_ghost_makes_a_host_lose_double_or_invent_an_event(
    arm: str, kind: str, kafka: LocalKafka, codec: Codec, proxy: GhostProxy
) -> None:
    installation = Installation(kafka.bootstrap, codec, DECIDING)
    haunt = Haunt(installation, arm, proxy)
    answers: list[int | None] = []
    async with haunt.kept_running():
        await haunt.decide(deposit("first"))
        for trial in range(TRIALS):
            await _trial(haunt, KINDS[kind], trial, answers)
    assert len(answers) == TRIALS
    assert set(answers) <= REFUSALS, f"the broker accepted a ghost: {answers}"
    await _tape_holds(installation, haunt)


async def _trial(haunt: Haunt, api: int, trial: int, answers: list[int | None]) -> None:
    theft = haunt.proxy.steal_next(api)
    stolen_turn = (haunt.writer.turn + 1) % IDS_PER_PARTITION
    await haunt.decide(deposit(f"{trial}.stolen"))
    assert theft.is_taken()
    while (haunt.writer.turn + 1) % IDS_PER_PARTITION != stolen_turn:
        await haunt.decide(deposit(f"{trial}.between.{haunt.writer.turn}"))

    async def release() -> None:
        answers.append(await theft.release())

    haunt.writer.meanwhile = release
    await haunt.decide(deposit(f"{trial}.haunted"))


async def _tape_holds(installation: Installation, haunt: Haunt) -> None:
    """One event a command in the order of the commands, an unbroken chain, one term a start of the host."""
    link, decided, terms = Link(), [], []
    for value, recorded in await installation.everything():
        link = follow(link, recorded, value, place="the haunted partition")
        if isinstance(recorded.event, OwnershipTaken):
            terms.append(recorded.term)
        else:
            decided.append(recorded.command_id)
    assert decided == haunt.sent
    assert terms == list(range(1, haunt.starts + 1))
