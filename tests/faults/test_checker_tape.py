"""The checker of a run judges the tape itself: a good one passes whatever happened on it, a spoilt one is named."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.avro.codec import Codec
from tests.faults.checker.evidence import Record
from tests.faults.checker.judge import judge
from tests.faults.worlds import STRANGER, World
from tests.kit.histories import ACCOUNTS, WHATS, Choice

ORDERS = "orders.events"
numbers = st.integers(1, 997).filter(lambda number: number % 4 != 0)
"""Of numbers that four divides, the kit tells one execution to many books."""
choices = st.lists(st.tuples(st.sampled_from(WHATS), st.integers(0, len(ACCOUNTS) - 1), numbers), max_size=60)


def busiest(world: World) -> tuple[str, int]:
    """The partition of orders with the most events."""
    return max((place for place in world.committed if place[0] == ORDERS), key=lambda p: len(world.committed[p]))


def dropped(world: World) -> None:
    del world.committed[busiest(world)][5]


def dropped_and_chained_anew(world: World) -> None:
    place = busiest(world)
    del world.committed[place][5]
    world.rechain(place)


def last_dropped(world: World) -> None:
    place = busiest(world)
    world.cut(place)
    world.uncommitted[place] = list(world.committed[place])


def repeated(world: World) -> None:
    place = busiest(world)
    last = world.committed[place][-1]
    world.committed[place].append(Record(last.offset + 2, last.at_ms, last.key, last.value, last.headers))
    world.rechain(place)


def swapped(world: World) -> None:
    place = busiest(world)
    records = world.committed[place]
    records[7].value, records[8].value = records[8].value, records[7].value
    records[7].key, records[8].key = records[8].key, records[7].key
    records[7].headers, records[8].headers = records[8].headers, records[7].headers
    world.rechain(place)


def edited(world: World) -> None:
    record = world.committed[busiest(world)][5]
    record.value = record.value[:-1] + bytes([record.value[-1] ^ 1])


def of_an_earlier_term(world: World) -> None:
    world.rewrite(busiest(world), 9, lambda recorded: msgspec.structs.replace(recorded, term=0))


def of_a_term_that_nobody_took(world: World) -> None:
    world.rewrite(busiest(world), 9, lambda recorded: msgspec.structs.replace(recorded, term=2))


def of_another_tenant(world: World) -> None:
    world.rewrite(busiest(world), 9, lambda recorded: msgspec.structs.replace(recorded, tenant="other"))


def under_another_key(world: World) -> None:
    world.committed[busiest(world)][5].key = STRANGER.encode()


def garbage(world: World) -> None:
    world.committed[busiest(world)][5].value = b"\0\0\0\0\x63garbage"


def with_another_id(world: World) -> None:
    place = busiest(world)
    recorded = world.codec.decode_event(world.committed[place][-1].value)
    changed = msgspec.structs.replace(recorded, event_id="another")
    world.committed[place][-1].value = world.codec.encode_event(changed)


def under_another_header(world: World) -> None:
    record = world.committed[busiest(world)][5]
    record.headers = msgspec.Raw(msgspec.json.encode({"command-id": b"another"}))


def recorded_before_its_predecessor(world: World) -> None:
    world.rewrite(busiest(world), 9, lambda recorded: msgspec.structs.replace(recorded, recorded_at=1))


def hidden_from_the_uncommitted(world: World) -> None:
    del world.uncommitted[busiest(world)][5]


def without_an_event(world: World) -> None:
    place = ("orders.commands", busiest(world)[1])
    world.commands[place][3].value = world.commands[place][3].value.replace(b"-", b"+", 1)


def never_decided(world: World) -> None:
    commands = world.commands["orders.commands", busiest(world)[1]]
    value = commands[-1].value.replace(b"-", b"+", 1)
    commands.append(Record(commands[-1].offset + 1, 0, commands[-1].key, value))


LIES: dict[Callable[[World], None], str] = {
    dropped: "chain: sequence 6 follows 4",
    dropped_and_chained_anew: "lost: version",
    last_dropped: "lost: POST /v1 was answered 201, and nothing stands there",
    repeated: "duplicated: version",
    swapped: "reordered: its command stands at",
    edited: "chain: previous is not the hash",
    of_an_earlier_term: "chain: term 0 follows 1",
    of_a_term_that_nobody_took: "chain: term 2 follows 1 with",
    of_another_tenant: "tenant: the stream is of 'acme'",
    under_another_key: "chain: its key",
    garbage: "chain: unreadable",
    with_another_id: "chain: its id another",
    under_another_header: "chain: its header command-id",
    recorded_before_its_predecessor: "reordered: it was recorded before",
    hidden_from_the_uncommitted: "evidence: read_committed shows a record",
    without_an_event: "torn: the decisions went on to",
    never_decided: "liveness: it was never decided",
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices)
def test_whatever_deciders_decide_is_found_good(codec: Codec, tmp_path: Path, chosen: list[Choice]) -> None:
    verdict = judge(World(codec, chosen).write(tmp_path / "run"))
    assert verdict.is_clean, verdict.findings[:3]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_on_the_tape_is_named(lie: Callable[[World], None], codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    lie(world)
    found = [f"{each.what}: {each.says}" for each in judge(world.write(tmp_path / "run")).findings]
    assert any(each.startswith(LIES[lie]) for each in found), found


def test_a_jump_is_one_fault_and_what_stands_behind_it_is_found(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    dropped(world)
    verdict = judge(world.write(tmp_path / "run"))
    answered = [each for each in verdict.findings if "op" in each.evidence]
    assert [(each.what, each.sequence) for each in answered] == [("aborted-but-seen", 5)]
    assert verdict.found["chain"] == 2  # The number and the hash that do not follow.


def test_a_command_among_the_dead_letters_needs_no_event(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    never_decided(world)
    number = busiest(world)[1]
    offset = world.commands["orders.commands", number][-1].offset
    headers = msgspec.Raw(msgspec.json.encode({"source": f"orders.commands|{number}|{offset}".encode()}))
    world.commands["orders.commands.dead", number] = [Record(0, 0, b"", b"", headers)]
    assert judge(world.write(tmp_path / "run")).is_clean


def test_a_command_may_wait_while_the_run_goes_on(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    never_decided(world)
    world.is_quiet = False
    assert judge(world.write(tmp_path / "run")).is_clean


def test_a_command_told_that_it_was_done_long_ago_is_not_done_twice(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place, index, refused = next(world.events("OrderRefused"))
    event = msgspec.structs.replace(refused.event, reason="DUPLICATE_ORDER")
    for reason, is_clean in (("DUPLICATE_ORDER", True), ("COLLAR", False)):
        event = msgspec.structs.replace(refused.event, reason=reason)
        again = msgspec.structs.replace(refused, event=event, command_id=_first_of(world, place, refused.stream_id))
        world.committed[place][index].value = world.codec.encode_event(again)
        world.committed[place][index].headers = msgspec.Raw(b"{}")
        world.rechain(place, index)
        found = judge(world.write(tmp_path / "run")).found
        assert ("duplicated" not in found) is is_clean


def _first_of(world: World, place: tuple[str, int], stream_id: str) -> str:
    """The command of the stream's first event there."""
    decoded = (world.codec.decode_event(record.value) for record in world.committed[place])
    return next(recorded.command_id for recorded in decoded if recorded.stream_id == stream_id)
