"""An aggregate as its owner holds it: what it knows of command ids, one event at a time or many at once."""

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.kernel.ids import Micros
from domain.kernel.stream import Familiarity, Stream, advanced, grown

KNOWN_MAX = 3
COMMANDS = st.lists(st.tuples(st.uuids().map(str), st.integers(0, 50).map(Micros)), unique_by=lambda each: each[0])


def one_by_one(commands: list[tuple[str, Micros]], stream: Stream[int]) -> Stream[int]:
    for command_id, at in commands:
        stream = advanced(stream, stream.state + 1, "t", command_id, at, KNOWN_MAX)
    return stream


@given(COMMANDS, st.integers(0, 12))
def test_many_events_at_once_leave_what_one_after_the_other_does(
    commands: list[tuple[str, Micros]], before: int
) -> None:
    begun = one_by_one(commands[:before], Stream(0))
    rest = commands[before:]
    assume(rest)
    newest = rest[-KNOWN_MAX:]
    dropped_at = max([begun.dropped_at, *(at for _, at in rest[: len(rest) - len(newest)])])
    state, version = begun.state + len(rest), begun.version + len(rest)
    assert grown(begun, state, "t", version, newest, dropped_at, KNOWN_MAX) == one_by_one(rest, begun)


@given(COMMANDS)
def test_the_newest_ids_are_known_and_what_is_not_newer_than_a_dropped_one_is_stale(
    commands: list[tuple[str, Micros]],
) -> None:
    stream = one_by_one(commands, Stream(0))
    assert all(stream.familiarity(name, at) is Familiarity.KNOWN for name, at in commands[-KNOWN_MAX:])
    dropped = commands[:-KNOWN_MAX]
    assert all(stream.familiarity(name, at) is Familiarity.STALE for name, at in dropped)
    later = Micros(max([-1, *(at for _, at in dropped)]) + 1)
    assert stream.familiarity("never seen", later) is Familiarity.NEW
