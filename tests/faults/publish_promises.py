"""What Tapeline promises, to whom, and which rows of the matrix try it. People write this; the numbers come elsewhere.

A promise says what can be found false. How it is kept stands in ARCHITECTURE.md; the profiles differ in what survives.
"""

from typing import NamedTuple

ONE, THREE = "one broker", "three brokers"
PROFILES: dict[str, str] = {
    ONE: (
        "one broker that writes every batch of commands, events, feeds, snapshots and changelogs to the disk before it "
        "answers (`flush.messages=1`). What is answered survives the death of every process and a power cut, as long "
        "as the disk keeps what it says that it wrote. The loss of that disk loses the tape"
    ),
    THREE: (
        "three brokers, each record on three (replication factor 3), answered when two have it "
        "(`min.insync.replicas=2`). What is answered survives the loss of one broker with its disk; with two away "
        "nothing is accepted"
    ),
}
TAPE = ("F1", "F2", "F3", "F4")
STORAGE = ("F9", "F10", "F12", "F15", "F16")
NETWORK = ("F13", "F14")
MIXED = ("F30",)


class Promise(NamedTuple):
    """One sentence that can be found false."""

    kind: str
    says: str
    rows: tuple[str, ...]
    """What tries it."""
    p99_ms_max: float = 0.0
    """Of a promise that is judged by how long it took, not by failures."""


Promises = tuple[tuple[str, tuple[Promise, ...]], ...]
PROMISES: Promises = (
    (
        "trading client",
        (
            Promise(
                "durability",
                "A command that was answered with its decision (201, 409, 422) has its event on the tape for ever.",
                (*TAPE, *STORAGE, *NETWORK, "F7", "F18", *MIXED),
            ),
            Promise(
                "atomicity",
                "A command is decided once or never: a request repeated under its Idempotency-Key gets the first "
                "answer, and one whose answer was lost happens at most once.",
                (*TAPE, "F7", "F9", "F10", *NETWORK, *MIXED),
            ),
            Promise(
                "order",
                "Events of an account are numbered without a gap in the order in which they were decided, and every "
                "reader sees that order.",
                (*TAPE, "F5", "F7", "F9", "F10", "F17", "F21", *MIXED),
            ),
            Promise(
                "visibility",
                "Nothing is shown that was not committed, and nothing of a batch that was aborted.",
                (*TAPE, "F7", "F9", "F10", *MIXED),
            ),
            Promise(
                "atomicity",
                "Cash, shares and fees balance after each event, not only at the end.",
                (*TAPE, "F5", "F8", "F9", "F11", *MIXED),
            ),
            Promise(
                "visibility",
                "No byte of another tenant is shown, whatever token or id is presented.",
                ("F24", "F27"),
            ),
            Promise(
                "recovery time",
                "After SIGKILL of a decider the next command is acknowledged within 2 s in 99 of 100 cases.",
                ("F1",),
                2_000,
            ),
        ),
    ),
    (
        "auditor",
        (
            Promise(
                "durability",
                "A checkpoint that was signed once stays provable: no later one contradicts it.",
                ("F9", "F11", "F12", "F16", "F28"),
            ),
            Promise(
                "order",
                "An edit, a drop, a reorder, a fork or a rollback of the log, the audit table or the archive is "
                "detected and its position named.",
                ("F16", "F28"),
            ),
            Promise(
                "visibility",
                "An event of any earlier schema is read today as it was meant.",
                ("F20", "F29"),
            ),
        ),
    ),
    (
        "analyst",
        (
            Promise(
                "order",
                "A plain read_committed consumer sees each decision once, in order.",
                (*TAPE, "F9", "F10", "F12", *NETWORK, *MIXED),
            ),
            Promise(
                "atomicity",
                "Every row of a read model equals the fold of the tape up to the position that it names.",
                ("F6", "F11", "F12", "F18", *MIXED),
            ),
        ),
    ),
    (
        "partner",
        (
            Promise(
                "order",
                "Each event comes once and in order, or the gap is said in words; a cursor goes on where it stood.",
                ("F7", "F14", "F21", *MIXED),
            ),
            Promise(
                "durability",
                "A subscription and its cursor outlive every process.",
                ("F7", "F9", "F11", "F12"),
            ),
        ),
    ),
    (
        "operator",
        (
            Promise(
                "recovery time",
                "30 s after the last fault is healed all accepted work is done, with nobody's help.",
                ("F1", "F2", "F5", "F6", "F7", "F8", *STORAGE, "F11", *NETWORK, "F17", "F18", *MIXED),
            ),
            Promise(
                "durability",
                "Where a write cannot be kept (disk full, fewer than two replicas) it is refused, not answered.",
                ("F10", "F15"),
            ),
            Promise(
                "visibility",
                "A record that cannot be read is set aside with its cause and place, and its partition goes on.",
                ("F19", "F20"),
            ),
            Promise(
                "visibility",
                "Malformed input is answered or closed; no process dies of it and no other request sees it.",
                ("F22",),
            ),
            Promise(
                "atomicity",
                "What goes to the outside goes at least once, each time under the same id, and its outcome is recorded "
                "once.",
                ("F8", "F23"),
            ),
        ),
    ),
)
