"""What somebody with the rights of an operator can do to the log: an edit alone, and with all behind it mended."""

import hashlib
from collections.abc import Callable
from random import Random

from domain.kernel.ids import event_id
from infra.kafka.records import Partition
from projections.audit.forest import EVENTS
from tests.faults.inputs.sealed import FEED, Case, replace
from tests.faults.inputs.tampers import CHAIN, CHECKER, VERIFY, Act, Tamper

RECORDS_MIN = 12
RUN_MAX = 9
"""Longest run of records that is dropped or truncated."""


def _place(case: Case, chance: Random, ending: str) -> Partition:
    """A partition with some records, of a topic with this ending."""
    fit = [each for each, log in case.logs.items() if each[0].endswith(ending) and len(log) >= RECORDS_MIN]
    return chance.choice(sorted(fit))


def _inner(case: Case, place: Partition, chance: Random, room: int = 2) -> int:
    """A record with others before and behind it."""
    return chance.randrange(1, len(case.logs[place]) - room)


def _flip(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _rechain(case: Case, place: Partition, first: int) -> None:
    """Numbers, hashes and ids that fit again from here on: the lie that no chain shows."""
    log = case.logs[place]
    for at in range(first, len(log)):
        before = hashlib.sha256(log[at - 1].value).digest() if at else bytes(32)
        recorded = case.codec.decode_event(log[at].value)
        mended = replace(recorded, sequence=at, previous=before, event_id=event_id(*place, at))
        log[at] = replace(log[at], value=case.codec.encode_event(mended))


def _of(ending: str, change: Callable[[Case, Partition, Random], int], *, mended: bool = False) -> Act:
    def act(case: Case, chance: Random) -> str:
        place = _place(case, chance, ending)
        first = change(case, place, chance)
        if mended:
            _rechain(case, place, first)
        return ""

    return act


def edited(case: Case, place: Partition, chance: Random) -> int:
    at = _inner(case, place, chance)
    record = case.logs[place][at]
    case.logs[place][at] = replace(record, value=_flip(record.value, chance))
    return at


def rewritten(case: Case, place: Partition, chance: Random) -> int:
    """Another actor did it: a sentence that reads well."""
    at = _inner(case, place, chance)
    record = case.logs[place][at]
    recorded = replace(case.codec.decode_event(record.value), actor=f"sub:mallory-{chance.randrange(1000)}")
    case.logs[place][at] = replace(record, value=case.codec.encode_event(recorded))
    return at + 1


def key_edited(case: Case, place: Partition, chance: Random) -> int:
    at = _inner(case, place, chance)
    record = case.logs[place][at]
    case.logs[place][at] = replace(record, key=b"account-of-another")
    return at


def byte_moved_to_key(case: Case, place: Partition, chance: Random) -> int:
    """Key and value together are the same bytes; only the border between them moved."""
    at = _inner(case, place, chance)
    record = case.logs[place][at]
    case.logs[place][at] = replace(record, key=record.key + record.value[:1], value=record.value[1:])
    return at


def emptied(case: Case, place: Partition, chance: Random) -> int:
    at = _inner(case, place, chance)
    case.logs[place][at] = replace(case.logs[place][at], value=b"")
    return at


def first_edited(case: Case, place: Partition, chance: Random) -> int:
    record = case.logs[place][0]
    case.logs[place][0] = replace(record, value=_flip(record.value, chance))
    return 0


def last_edited(case: Case, place: Partition, chance: Random) -> int:
    record = case.logs[place][-1]
    case.logs[place][-1] = replace(record, value=_flip(record.value, chance))
    return len(case.logs[place])


def dropped(case: Case, place: Partition, chance: Random) -> int:
    at = _inner(case, place, chance)
    del case.logs[place][at]
    return at


def run_dropped(case: Case, place: Partition, chance: Random) -> int:
    at = _inner(case, place, chance, RECORDS_MIN - 2)
    del case.logs[place][at : at + chance.randint(2, RUN_MAX)]
    return at


def first_dropped(case: Case, place: Partition, chance: Random) -> int:
    del case.logs[place][0]
    return 0


def neighbours_swapped(case: Case, place: Partition, chance: Random) -> int:
    at, log = _inner(case, place, chance), case.logs[place]
    log[at], log[at + 1] = log[at + 1], log[at]
    return at


def moved(case: Case, place: Partition, chance: Random) -> int:
    """A record stands much earlier or later than it did."""
    log = case.logs[place]
    source, target = chance.sample(range(1, len(log) - 1), 2)
    log.insert(target, log.pop(source))
    return min(source, target)


def all_reversed(case: Case, place: Partition, chance: Random) -> int:
    case.logs[place].reverse()
    return 0


def copy_inserted(case: Case, place: Partition, chance: Random) -> int:
    """A record stands there once more, somewhere else."""
    log = case.logs[place]
    source, target = chance.sample(range(1, len(log) - 1), 2)
    log.insert(target, log[source])
    return min(target, source)


def forged_inserted(case: Case, place: Partition, chance: Random) -> int:
    at, log = _inner(case, place, chance), case.logs[place]
    recorded = case.codec.decode_event(log[at].value)
    forged = replace(recorded, command_id=f"forged-{chance.randrange(10**6)}", actor="sub:mallory")
    log.insert(at, replace(log[at], value=case.codec.encode_event(forged)))
    return at


def message_inserted(case: Case, place: Partition, chance: Random) -> int:
    """A fill that the venue never told of."""
    at, log = _inner(case, place, chance), case.logs[place]
    log.insert(at, replace(log[at], value=log[at].value + b"\x00"))
    return at


def truncated(case: Case, place: Partition, chance: Random) -> int:
    del case.logs[place][-chance.randint(1, RUN_MAX) :]
    return len(case.logs[place])


def emptied_whole(case: Case, place: Partition, chance: Random) -> int:
    case.logs[place].clear()
    return 0


def forked(case: Case, place: Partition, chance: Random) -> int:
    """From one record on another history, of the same length and well chained."""
    at, log = _inner(case, place, chance), case.logs[place]
    for index in range(at, len(log)):
        recorded = case.codec.decode_event(log[index].value)
        log[index] = replace(log[index], value=case.codec.encode_event(replace(recorded, actor="sub:fork")))
    return at


def tail_replaced(case: Case, place: Partition, chance: Random) -> int:
    """A shorter history in the place of the true end."""
    at, log = _inner(case, place, chance, 5), case.logs[place]
    recorded = replace(case.codec.decode_event(log[at].value), actor="sub:fork")
    log[at:] = [replace(log[at], value=case.codec.encode_event(recorded))]
    return at


def partitions_exchanged(case: Case, chance: Random) -> str:
    """Two partitions of a topic changed places whole."""
    topic = _place(case, chance, EVENTS)[0]
    one, other = chance.sample(sorted(place for place, log in case.logs.items() if place[0] == topic and log), 2)
    case.logs[one], case.logs[other] = case.logs[other], case.logs[one]
    return ""


def moved_to_another_partition(case: Case, chance: Random) -> str:
    """A record left its account's partition for another."""
    place = _place(case, chance, FEED)
    other = chance.choice(sorted(each for each in case.logs if each[0] == FEED and each != place and case.logs[each]))
    case.logs[other].insert(0, case.logs[place].pop(_inner(case, place, chance)))
    return ""


def two_at_once(case: Case, chance: Random) -> str:
    """An edit in one partition and a drop in another: both are named."""
    edited(case, _place(case, chance, EVENTS), chance)
    dropped(case, _place(case, chance, FEED), chance)
    return ""


PLAIN, CHAINED = (VERIFY, CHECKER), (VERIFY, CHECKER, CHAIN)
TAMPERS = (
    Tamper("event: a bit of its value", _of(EVENTS, edited), CHAINED),
    Tamper("event: rewritten to read well", _of(EVENTS, rewritten), CHAINED),
    Tamper("event: rewritten, all behind it chained anew", _of(EVENTS, rewritten, mended=True), PLAIN),
    Tamper("event: its key", _of(EVENTS, key_edited), PLAIN),
    Tamper("event: a byte moved from value to key", _of(EVENTS, byte_moved_to_key), CHAINED),
    Tamper("event: emptied", _of(EVENTS, emptied), CHAINED),
    Tamper("event: the first of its partition", _of(EVENTS, first_edited), CHAINED),
    Tamper("event: the last of its partition", _of(EVENTS, last_edited), PLAIN),
    Tamper("event: dropped", _of(EVENTS, dropped), CHAINED),
    Tamper("event: dropped, all behind it chained anew", _of(EVENTS, dropped, mended=True), PLAIN),
    Tamper("event: a run dropped", _of(EVENTS, run_dropped), CHAINED),
    Tamper("event: a run dropped, chained anew", _of(EVENTS, run_dropped, mended=True), PLAIN),
    Tamper("event: the first dropped", _of(EVENTS, first_dropped), CHAINED),
    Tamper("event: neighbours swapped", _of(EVENTS, neighbours_swapped), CHAINED),
    Tamper("event: neighbours swapped, chained anew", _of(EVENTS, neighbours_swapped, mended=True), PLAIN),
    Tamper("event: moved far", _of(EVENTS, moved), CHAINED),
    Tamper("event: moved far, chained anew", _of(EVENTS, moved, mended=True), PLAIN),
    Tamper("event: the whole partition reversed", _of(EVENTS, all_reversed), CHAINED),
    Tamper("event: a copy inserted", _of(EVENTS, copy_inserted), CHAINED),
    Tamper("event: a forged one inserted", _of(EVENTS, forged_inserted), CHAINED),
    Tamper("event: a forged one inserted, chained anew", _of(EVENTS, forged_inserted, mended=True), PLAIN),
    Tamper("event: the end cut off", _of(EVENTS, truncated), PLAIN),
    Tamper("event: the whole partition gone", _of(EVENTS, emptied_whole), PLAIN),
    Tamper("event: forked", _of(EVENTS, forked), CHAINED),
    Tamper("event: forked, chained anew", _of(EVENTS, forked, mended=True), PLAIN),
    Tamper("event: a shorter end in the place of the true one", _of(EVENTS, tail_replaced), PLAIN),
    Tamper("event: two partitions exchanged", partitions_exchanged, PLAIN),
    Tamper("feed: a bit of a message", _of(FEED, edited), PLAIN),
    Tamper("feed: a byte moved from value to key", _of(FEED, byte_moved_to_key), PLAIN),
    Tamper("feed: a message emptied", _of(FEED, emptied), PLAIN),
    Tamper("feed: the last message", _of(FEED, last_edited), PLAIN),
    Tamper("feed: a message dropped", _of(FEED, dropped), PLAIN),
    Tamper("feed: a run dropped", _of(FEED, run_dropped), PLAIN),
    Tamper("feed: neighbours swapped", _of(FEED, neighbours_swapped), PLAIN),
    Tamper("feed: a message moved far", _of(FEED, moved), PLAIN),
    Tamper("feed: a message inserted", _of(FEED, message_inserted), PLAIN),
    Tamper("feed: a copy inserted", _of(FEED, copy_inserted), PLAIN),
    Tamper("feed: the end cut off", _of(FEED, truncated), PLAIN),
    Tamper("feed: a message moved to another partition", moved_to_another_partition, PLAIN),
    Tamper("two partitions at once", two_at_once, PLAIN),
)
