"""The rows of the fault matrix in words: what is injected, and how many trials the campaign asks for."""

from typing import NamedTuple


class Row(NamedTuple):
    """One kind of fault."""

    id: str
    injector: str
    asked: int
    """Trials of the campaign; 0 where none were asked for by number."""


ROWS: tuple[Row, ...] = (
    Row("F1", "SIGKILL of a decider before, between and after the requests of its transaction", 1_000),
    Row("F2", "SIGSTOP of a decider past its time-outs while another takes over, then SIGCONT", 200),
    Row("F3", "two deciders started for one partition", 100),
    Row("F4", "one request of Kafka's protocol held back, dropped or repeated on a dying connection", 500),
    Row("F5", "SIGKILL of a Faust worker: at work, in its recovery, in a rebalance", 200),
    Row("F6", "SIGKILL of the projector between COPY and commit", 200),
    Row("F7", "SIGKILL of the gateway with sockets and POSTs open", 200),
    Row("F8", "SIGKILL of an effect between what it sends and what it records", 200),
    Row("F9", "SIGKILL of the one broker", 200),
    Row("F10", "SIGKILL of leader, controller or coordinator of three brokers; rolling; two of three", 100),
    Row("F11", "PostgreSQL: SIGKILL of a backend or of the postmaster, immediate stop", 200),
    Row("F12", "power cut: the disk's image is copied under a running server, which recovers from the copy", 300),
    Row("F13", "partition between processes, both ways or one way, by a packet filter in a namespace", 200),
    Row("F14", "loss of packets, storms of resets, delay, answers in slices of one byte", 200),
    Row("F15", "the disk is full, then has room again", 50),
    Row("F16", "input or output errors; a bit flipped in a closed segment", 50),
    Row("F17", "a process's clock jumps or drifts", 50),
    Row("F18", "a process starved of processor, memory or time", 50),
    Row("F19", "records that nobody can read, of 200 kinds, in every topic", 20_000),
    Row("F20", "incompatible producers, events of earlier schemas, a registry gone or lying", 500),
    Row("F21", "sockets that read slowly, half, never, or reconnect in storms", 200),
    Row("F22", "malformed frames and requests, smuggling pairs, slow headers, bombs", 100_000),
    Row("F23", "a vendor's webhooks repeated, reordered, replayed, signed wrongly, cut short", 0),
    Row("F24", "forged, expired, stripped and foreign tokens of 300 kinds", 300),
    Row("F25", "guessing, stuffing, and ways around the limit of requests", 0),
    Row("F26", "targets of outgoing calls that point inside", 0),
    Row("F27", "ids of another tenant at every door", 0),
    Row("F28", "edits, drops, reorders, forks and rollbacks of log, audit table and archive", 1_000),
    Row("F29", "a process replaced by another version under traffic", 0),
    Row("F30", "two to four of the above at once, drawn anew every few seconds", 30),
)
SIMULATED = Row("S1", "a whole history in one thread, time and faults drawn from its seed", 50_000)
MODELLED = Row("S2", "a model of take-over and commit, searched by `tests/model`", 0)
PLANTED = Row("B1", "known bugs, planted one at a time", 20)
WORDS = {row.id: row.injector for row in (*ROWS, SIMULATED, MODELLED, PLANTED)}
"""What a row injects."""
