"""When faults were and when things were done: no request and no command waited longer than it may while all was well.

A run is a row of healthy stretches, each from a healing (or the beginning) to the next fault. Whatever is waited for
may wait so long in each of them; what a client gave up asking for waited until its last try ended.
"""

from itertools import chain

from tests.faults.checker.answers import entries
from tests.faults.checker.evidence import Answer, Folder, Instant, Process
from tests.faults.checker.tape import OWNERSHIP, Event
from tests.faults.checker.verdict import Findings

WITHIN_MS = 30_000
NEVER = 2**62
TOO_MANY_REQUESTS = 429


class Health:
    """The healthy stretches of a run, by the monotonic clock in ns and by wall time in us."""

    def __init__(self, instants: list[Instant]) -> None:
        self.by_mono_ns: list[tuple[int, int, int]] = []
        self.by_wall_us: list[tuple[int, int, int]] = []
        began: tuple[int, int, int] | None = (-NEVER, -NEVER, WITHIN_MS)
        for instant in sorted(instants, key=lambda each: each.mono_ns):
            if instant.what == "healed":
                began = began or (instant.mono_ns, instant.wall_us, instant.within_ms)
            elif began is not None:
                self._add(began, instant.mono_ns, instant.wall_us)
                began = None
        if began is not None:
            self._add(began, NEVER, NEVER)

    def _add(self, began: tuple[int, int, int], mono_ns: int, wall_us: int) -> None:
        self.by_mono_ns.append((began[0], mono_ns, began[2] * 1_000_000))
        self.by_wall_us.append((began[1], wall_us, began[2] * 1_000))


def too_long(stretches: list[tuple[int, int, int]], since: int, until: int) -> int:
    """How long something was waited for in a healthy stretch, when that is longer than it may be there; 0 otherwise."""
    for begin, end, within in stretches:
        waited = min(until, end) - max(since, begin)
        if waited > within:
            return waited
    return 0


def judge(folder: Folder, health: Health, findings: Findings) -> None:
    """Hold every request of the clients against the healthy stretches."""
    first: dict[str, Answer] = {}
    last: dict[str, Answer] = {}
    soon_ns = min((within for _, _, within in health.by_mono_ns), default=NEVER)
    for entry in chain.from_iterable(entries(folder)):
        command = entry.command
        if entry.kind == "invoke":
            first.setdefault(command, entry)
        elif entry.kind == "info" and entry.status != TOO_MANY_REQUESTS:
            last[command] = entry
        elif (asked := first.pop(command, None)) is not None and entry.mono_ns - asked.mono_ns > soon_ns:
            _say(findings, health, asked, entry, "answered")
    for command, asked in first.items():
        if command and command in last:
            _say(findings, health, asked, last[command], "not answered")
    for process in folder.some("processes.ndjson", Process):
        if not process.is_running:
            findings.add("process", f"{process.name} does not run at the end")
        for each in process.unhandled:
            findings.add("process", f"{process.name}: {each}")


def _say(findings: Findings, health: Health, asked: Answer, told: Answer, what: str) -> None:
    waited_ns = too_long(health.by_mono_ns, asked.mono_ns, told.mono_ns)
    if waited_ns and asked.command:
        says = f"{what} after {waited_ns // 1_000_000} ms in which nothing was wrong"
        evidence = {"client": asked.client, "op": asked.op, "command": asked.command, "asked": asked.asked}
        findings.add("liveness", says, account=asked.account, evidence=evidence)


class Decisions:
    """Commands that were sent and the events that decided them; give it every event."""

    def __init__(self, health: Health, sent: dict[tuple[str, int, int], int], findings: Findings) -> None:
        self._health = health
        self._sent = sent
        self._findings = findings

    def take(self, event: Event) -> None:
        """The next event."""
        if event.kind == OWNERSHIP:
            return
        topic = event.topic.removesuffix(".events") + ".commands"
        sent_ms = self._sent.get((topic, event.partition, event.meta["command_position"]))
        if sent_ms is not None:
            waited = too_long(self._health.by_wall_us, sent_ms * 1_000, event.meta["recorded_at"])
            if waited:
                says = f"decided after {waited // 1_000} ms in which nothing was wrong"
                self._findings.add("liveness", says, **event.place)
