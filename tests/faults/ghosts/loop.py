"""Commands -> events by the loop of the textbooks: consume, transform, produce, offsets into the transaction, commit.

A trial is two transactions. A request of the first is taken from its dying connection while its end or its records are
under way; the client repeats it by itself and is told that all went well. The late copy arrives inside the second. Then
the process is started again and does what its group's offset says is left, as any deployment would have it.
"""

import asyncio
from collections import defaultdict

from confluent_kafka import Consumer, TopicPartition

from infra.kafka import codes
from infra.kafka.reader import BEGINNING, Reader
from tests.faults.ghosts.clients import Client, Refused
from tests.faults.ghosts.outcome import Outcome, Variant
from tests.faults.ghosts.proxy import APIS, Fate, GhostProxy, Theft

GHOST = "ghost"
SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "the next one aborts": ("commit", ("first", GHOST, "offsets", "abort")),
    "after an abort the next one commits": ("abort", ("first", GHOST, "offsets", "commit")),
    "the next one aborts between two partitions": ("commit", ("first", GHOST, "second", "abort")),
    "the next one commits": ("commit", ("first", "offsets", GHOST, "commit")),
}
"""How the first transaction ends, and the steps of the second."""
AROUND = {"EndTxn": tuple(SCRIPTS)[:3]}
OTHERS = ("after an abort the next one commits", "the next one commits")
ATTEMPTS_MAX = 10
VISIBLE_SECONDS_MAX = 30.0
LOOKUP_SECONDS_MAX = 15.0


def variants() -> list[Variant]:
    """Every request in every fate, with what may happen around it."""
    return [Variant(api, fate, around) for api in APIS for fate in Fate for around in AROUND.get(api, OTHERS)]


class Loop:
    """One process of the loop, and what is known of every attempt that it made."""

    def __init__(self, client: Client, bootstrap: str, source: str, target: str, proxy: GhostProxy) -> None:
        self._client = client
        self._source = source
        self._target = target
        self._proxy = proxy
        self._events = asyncio.get_running_loop()
        self._bootstrap = bootstrap
        self._offsets = Consumer({"bootstrap.servers": bootstrap, "group.id": source, "log_level": 4}, logger=codes.LOG)
        self._attempts: dict[int, int] = defaultdict(int)
        self._ends: dict[str, str] = {}
        """By attempt the last end that was asked for it; nothing when none was."""
        self._parts: dict[str, int] = defaultdict(int)
        self._next = 0
        self._seen: dict[int, list[str]] = defaultdict(list)

    async def play(self, variant: Variant, number: int) -> Outcome | None:
        """One trial; None when the client never sent what was to be taken."""
        outcome = Outcome(variant=variant, trial=number)
        theft = self._proxy.steal_next(APIS[variant.api], variant.fate)
        begun = self._next
        try:
            await asyncio.to_thread(self._two, SCRIPTS[variant.around], theft, outcome)
        except Refused as refusal:
            outcome.told.append(str(refusal))
        self._proxy.call_off()
        await asyncio.to_thread(self._finish, begun + 2)
        await self._judge(outcome, range(begun, begun + 2))
        return outcome if theft.is_taken() else None

    def close(self) -> None:
        """The process ends."""
        self._client.close()
        self._offsets.close()

    def _two(self, script: tuple[str, tuple[str, ...]], theft: Theft, outcome: Outcome) -> None:
        first_end, steps = script
        self._client.renew()
        is_done = self._run(self._next, ("first", "offsets", first_end), theft, outcome)
        self._run(self._next + is_done, steps, theft, outcome)

    def _run(self, command: int, steps: tuple[str, ...], theft: Theft, outcome: Outcome) -> bool:
        """One transaction, and whether it was committed; a refusal is followed by an abort, as the textbooks say."""
        attempt = self._begin(command)
        try:
            for step in steps:
                if step == GHOST:
                    self._release(theft, outcome)
                else:
                    self._step(step, command, attempt)
        except Refused as refusal:
            outcome.told.append(f"{step}: {refusal}")
            self._client.abort()
            self._ends[attempt] = "abort"
        return self._ends[attempt] == "commit"

    def _begin(self, command: int) -> str:
        self._attempts[command] += 1
        self._client.begin()
        return f"{command}.{self._attempts[command]}"

    def _step(self, step: str, command: int, attempt: str) -> None:
        if step in {"first", "second"}:
            self._parts[attempt] += 1
            self._client.produce(self._target, 0 if step == "first" else 1, f"{attempt}.{step}")
        elif step == "offsets":
            self._client.offsets(self._source, command + 1, self._source)
        else:
            self._ends[attempt] = step
            (self._client.commit if step == "commit" else self._client.abort)()

    def _release(self, theft: Theft, outcome: Outcome) -> None:
        if theft.is_taken() and theft.fate is not Fate.DROPPED:
            outcome.is_delivered = True
            outcome.ghost = asyncio.run_coroutine_threadsafe(theft.release(), self._events).result()

    def _finish(self, end: int) -> None:
        """Started again, the loop goes on from its group's offset until every command is done with."""
        for _ in range(ATTEMPTS_MAX):
            try:
                self._client.renew()
                while (command := self._committed()) < end:
                    attempt = self._begin(command)
                    for step in ("first", "offsets", "commit"):
                        self._step(step, command, attempt)
            except Refused:
                continue
            self._next = end
            return
        raise RuntimeError(f"the loop did not come to its end in {ATTEMPTS_MAX} starts")

    def _committed(self) -> int:
        place = self._offsets.committed([TopicPartition(self._source, 0)], LOOKUP_SECONDS_MAX)[0]
        return max(place.offset, 0)

    async def _judge(self, outcome: Outcome, commands: range) -> None:
        await self._read()
        for command in commands:
            self._judge_one(outcome, command)

    def _judge_one(self, outcome: Outcome, command: int) -> None:
        parts: dict[str, int] = defaultdict(int)
        for value in self._seen[command]:
            parts[value.rpartition(".")[0]] += 1
        whole = [attempt for attempt, count in parts.items() if count >= self._parts[attempt]]
        outcome.phantom += [attempt for attempt in parts if self._ends.get(attempt) != "commit"]
        outcome.torn += [attempt for attempt in parts if attempt not in whole]
        if not parts:
            outcome.lost.append(str(command))
        if len(whole) > 1:
            outcome.doubled.append(str(command))

    async def _read(self) -> None:
        """What a plain reader sees, once the last transaction that was open is ended."""
        self._seen.clear()
        reader = Reader(self._bootstrap, "ghosts-seen")
        try:
            async with asyncio.timeout(VISIBLE_SECONDS_MAX):
                while (ends := await reader.ends(self._target)) != await _highs(reader, self._target):
                    await asyncio.sleep(0.01)
                await reader.assign({(self._target, number): BEGINNING for number in ends})
                while any(reader.position().get((self._target, number), 0) < end for number, end in ends.items()):
                    for arrived in await reader.take(10_000, 100):
                        value = arrived.value.decode()
                        self._seen[int(value.partition(".")[0])].append(value)
        finally:
            await reader.close()


async def _highs(reader: Reader, topic: str) -> dict[int, int]:
    return await reader.ends(topic, read_committed=False)
