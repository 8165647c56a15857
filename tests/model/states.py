"""Take-over and commit of one partition as a machine of states: the rules, and everything there is at one instant.

The laws are those of `infra/kafka/writer.py`, `infra/kafka/fence.py` and `streams/deciders.py` (owners.py); the broker
is Kafka's second transaction protocol (broker.py). Every order of the steps of all owners is a way through it, and a
request may be lost at any time and arrive as late as it likes. Left out: snapshots, several partitions, batches of more
than one command, several brokers, and time: what waits for a time-out may go on at once.
"""

from enum import IntEnum
from typing import NamedTuple


class Rules(NamedTuple):
    """What is kept to, and how much happens. Every protection can be left out, to see that it is missed."""

    owners: int = 2
    """Processes that start, one after the other, at any time: rivals, zombies, successors."""
    ids: int = 2
    """Transactional ids of the partition; the product has three."""
    commands: tuple[int, ...] = (0, 1, 0)
    """The id of the command at each position of its topic; a client repeats one."""
    faults: int = 1
    """Requests lost on the way, crashes, restarts of the broker and time-outs of a transaction, all together."""
    is_fencing: bool = True
    fences_all: bool = True
    first_id_first: bool = True
    """Whether the first id is fenced before the others."""
    fences_in_one_piece: bool = True
    """Whether a take-over that lost a connection begins again with the first id."""
    begins_with_first: bool = True
    """Whether an owner writes with the first id first."""
    reads_back: bool = True
    """Whether an owner looks at the tape after an end that was not clear."""
    knows_own_record: bool = True
    """Whether an owner tells the first record of its reign from a rival's of the same term."""
    doubts_lost_ends: bool = True
    spares_successors: bool = True
    """Whether what hangs is aborted only when it is older than the own fence."""
    looks_after_cuts: bool = True
    knows_commands: bool = True
    holds_position_in_events: bool = True
    marks_in_order: bool = True
    """Whether markers are written in the order in which their ends were accepted, as one broker does."""
    answers_read_back: bool = True
    """Whether readers wait for the last stable offset."""


class Phase(IntEnum):
    """Where an owner stands."""

    OUT = 0
    FENCING = 1
    WAITING = 2
    """Until nothing is undecided."""
    READING = 3
    READY = 4
    SENT = 5
    GONE = 6


class Entry(NamedTuple):
    """One batch on the log. What was aborted is taken off it."""

    is_committed: bool
    sequence: int
    previous: int
    term: int
    position: int
    """Of its command; -1 in the first record of a reign."""
    reign: int
    id: int
    epoch: int

    @property
    def hash(self) -> int:
        return hash(self[1:6])


class Known(NamedTuple):
    """What an owner believes to be on the tape."""

    sequence: int = -1
    hash: int = 0
    term: int = 0
    position: int = -1
    commands: frozenset[int] = frozenset()


class Owner(NamedTuple):
    """One process; its reign is its place among the owners."""

    phase: Phase = Phase.OUT
    epochs: tuple[int, ...] = ()
    """Of each id, as this owner fenced it; -1 before."""
    known: Known = Known()
    term: int = 0
    turn: int = 0
    is_crowned: bool = False
    """Whether the first record of its reign stands."""
    sent: Entry | None = None
    is_cut: bool = False


class Free(IntEnum):
    """What the coordinator is at with an id."""

    FREE = 0
    OPEN = 1
    ENDING = 2
    """Accepted; its marker is not written yet."""


class State(NamedTuple):
    """Everything at one instant."""

    log: tuple[Entry, ...]
    ids: tuple[tuple[int, Free], ...]
    """Epoch and transaction of each id, as the coordinator knows them."""
    owners: tuple[Owner, ...]
    late: tuple[tuple[str, int, int, Entry | None], ...] = ()
    """Requests that nobody waits for any more: kind, id, epoch, batch."""
    faults: int = 0
    hint: int = -1
    """The position consumed, as kept outside the events."""


Step = tuple[str, State]
GONE = Owner(Phase.GONE)


def first(rules: Rules) -> State:
    """An empty tape and no owner."""
    return State((), ((0, Free.FREE),) * rules.ids, (Owner(),) * rules.owners)


def visible(log: tuple[Entry, ...], rules: Rules) -> tuple[Entry, ...]:
    """What readers see: everything before the first batch that is undecided."""
    if not rules.answers_read_back:
        return log
    for number, entry in enumerate(log):
        if not entry.is_committed:
            return log[:number]
    return log


def with_owner(state: State, reign: int, owner: Owner) -> State:
    return state._replace(owners=(*state.owners[:reign], owner, *state.owners[reign + 1 :]))


def with_id(state: State, number: int, epoch: int, at: Free) -> State:
    """What is late and of an older epoch can do nothing any more: it need not be told apart."""
    late = tuple(each for each in state.late if each[1] != number or each[2] >= epoch or each[0] == "fence")
    return state._replace(ids=(*state.ids[:number], (epoch, at), *state.ids[number + 1 :]), late=late)


def without(state: State, number: int, epoch: int) -> State:
    """The undecided batch of this id and epoch is aborted."""
    log = state.log
    kept = tuple(entry for entry in log if entry.is_committed or (entry.id, entry.epoch) != (number, epoch))
    return state._replace(log=kept)
