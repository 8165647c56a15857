"""Malformed input of every kind: refused in the right words, let go in time, and nobody else is harmed."""

import random
from collections.abc import Sequence

import pytest

from tests.security import body_kinds, frame_kinds, handshake_kinds, http_kinds, wire
from tests.security.barrage import KINDS, Barrage, barrage, chosen, throw
from tests.security.door import Door
from tests.security.kinds import Kind, Who
from tests.security.lax import lax_door

SEED = 22
COUNT = 1_200
STARTS = [kind for kind in http_kinds.KINDS if kind.name.endswith("bad start")]
WHO = Who(token="a.b.c", account_id="anybody")


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(600)
async def test_a_barrage_harms_nobody(door: Door) -> None:
    told = await barrage(door, seed=SEED, count=COUNT)
    assert sum(told.thrown.values()) == COUNT
    assert (told.findings, told.faults) == ([], [])
    assert told.figures["canary_answers"] > 50
    assert told.figures["canary_pongs"] > 50


def test_a_campaign_throws_every_kind() -> None:
    kinds = {chosen(SEED, number, KINDS)[0].name for number in range(10_000)}
    assert kinds == {kind.name for kind in KINDS}


def test_an_input_is_the_same_again() -> None:
    for number in range(300):
        (kind, chance), (again, other) = chosen(SEED, number, KINDS), chosen(SEED, number, KINDS)
        assert kind.make(chance, WHO) == again.make(other, WHO)


async def found_at_a_lax_door(kinds: Sequence[Kind], count: int, slow: Sequence[Kind] = ()) -> Barrage:
    told = Barrage()
    async with lax_door() as port:
        await throw(port, [WHO], seed=SEED, count=count, told=told, kinds=kinds, slow_kinds=slow)
    return told


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        (http_kinds.KINDS, "a request inside a body was answered"),
        (STARTS, "a client wrote a header of the answer"),
        (http_kinds.KINDS, "answered 200"),
        (handshake_kinds.KINDS, "answered 101"),
        (frame_kinds.KINDS, "ended served, not 1002"),
        (frame_kinds.KINDS, "pings had 0 pongs"),
        (body_kinds.KINDS, "answered with 500"),
    ],
)
async def test_each_fault_of_a_lax_door_is_found(
    monkeypatch: pytest.MonkeyPatch, kinds: Sequence[Kind], why: str
) -> None:
    monkeypatch.setattr(wire, "ANSWER_S", 0.5)
    told = await found_at_a_lax_door(kinds, 250)
    assert [each for each in told.findings if why in each["why"]], told.findings


async def test_a_door_with_all_the_time_in_the_world_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "SLOW_S", 0.5)
    told = await found_at_a_lax_door(http_kinds.KINDS, 500, body_kinds.SLOW_KINDS[:1])
    assert [each for each in told.findings if "not let go" in each["why"] and "slow" in each["kind"]]


@pytest.mark.parametrize("masked", [True, False])
def test_frames_are_masked_as_asked(masked: bool) -> None:
    payload = random.Random(SEED).randbytes(200)
    data = frame_kinds.frame(frame_kinds.BINARY, payload, mask=b"\x01\x02\x03\x04" if masked else None)
    assert (payload in data) is not masked
