"""Clients of a decider host: each sends commands one after the other, and believes an answer only when it is read back.

accounts.commands and accounts.events by the product's own bus; what was asked and told goes into a history in the
checker's format, written before a command is sent and before its answer is used. A follower reads the tape beside them
and commits its place to a group, as sagas and effects do.
"""

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import contexts
from domain.accounts.commands import DepositCash, OpenAccount
from domain.kernel.ids import DepositId
from domain.kernel.messages import Command, Issued
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.bus import Answer, Bus, NoDecision
from infra.clock import wall
from infra.kafka.groups import Groups
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.sender import Sender, murmur2_partition
from infra.readback import ReadBack
from infra.settings import PARTITIONS
from tests.faults.checker.evidence import Entry
from tests.faults.histories import Log

CONTEXT = "accounts"
EVENTS = f"{CONTEXT}.events"
GROUP = "follower"
ANSWER_MS_MAX = 3_000
"""How long a client waits before it calls the outcome unknown and sends the next."""
BETWEEN_SECONDS = 0.02
AGAIN_SECONDS = 0.2
COMMIT_SECONDS = 0.2
OK, UNKNOWN = 201, 202


class Workload:
    """All clients of a run."""

    def __init__(self, bootstrap: str, history: Path, clients: int) -> None:
        self.acknowledged: list[tuple[int, int, int]] = []
        """Of every answer: when it was asked for and when it was told, by the monotonic clock, and its partition."""
        self.asked = 0
        self.went_back: list[str] = []
        """Places of the group that were behind one that was committed before."""
        self.groups_failed = 0
        self._bootstrap = bootstrap
        self._clients = clients
        self._log = Log(history)
        self._codec = Codec(contexts.messages())
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Workload"]:
        """Clients at work until the end of this."""
        sender = Sender(self._bootstrap, "clients")
        readers = [Reader(self._bootstrap, name) for name in ("clients-events", "clients-ends")]
        reading = ReadBack(readers[0], readers[1], self._codec, [EVENTS])
        bus = Bus(sender, self._codec)
        reading.listen(bus.seen)
        await reading.begin()
        stop = asyncio.Event()
        back = asyncio.create_task(reading.run())
        working = [asyncio.create_task(self._client(bus, number, stop)) for number in range(self._clients)]
        following = asyncio.create_task(self._follow(stop))
        try:
            yield self
            stop.set()
            for task in (*working, following):
                await task
            if back.done():
                back.result()
        finally:
            for task in (*working, following, back):
                task.cancel()
            await asyncio.gather(*working, following, back, return_exceptions=True)
            for reader in readers:
                await reader.close()
            await sender.close()
            self._log.close()

    async def until_acknowledged(self, after_ns: int, within_s: float) -> float | None:
        """Milliseconds from then until every partition had answered a command that was asked later; None: never."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            first: dict[int, int] = {}
            for asked, told, partition in reversed(self.acknowledged):
                if told < after_ns:
                    break
                if asked >= after_ns:
                    first[partition] = told
            if len(first) == PARTITIONS:
                return (max(first.values()) - after_ns) / 1e6
            await asyncio.sleep(BETWEEN_SECONDS)
        return None

    def told_between(self, begin_ns: int, end_ns: int) -> int:
        """Commands that were asked after the one moment and answered before the other."""
        return sum(asked >= begin_ns and told < end_ns for asked, told, _ in self.acknowledged)

    async def _client(self, bus: Bus, number: int, stop: asyncio.Event) -> None:
        name, account, tenant = f"client-{number}", _account_in(number % PARTITIONS), "acme"
        opening: Command = OpenAccount(owner="sub:client", currency="USD", at=wall(), actor="sub:client")
        command: Command | None = opening
        command_id = f"{account}/open"
        op = attempt = 0
        while not stop.is_set():
            if command is None:
                command_id = f"{account}/{next(self._numbers)}"
                command = DepositCash(
                    deposit_id=DepositId(command_id), amount=Money(100), at=wall(), actor="sub:client"
                )
                attempt = 0
            op, attempt = op + 1, attempt + 1
            issued = Issued(
                command=command, command_id=command_id, tenant=tenant, stream_id=account,
                causation_id="", correlation_id="",
            )  # fmt: skip
            if await self._ask(bus, issued, name, op, attempt):
                command = None
                await asyncio.sleep(BETWEEN_SECONDS)
            else:
                await asyncio.sleep(AGAIN_SECONDS)  # Then the same again, under the same id.

    async def _ask(self, bus: Bus, issued: Issued[Command], client: str, op: int, attempt: int) -> bool:
        """One try; whether it was answered."""
        begun = time.monotonic_ns()
        self.asked += 1
        self._write("invoke", issued, client, op, attempt, begun)
        try:
            answer = await bus.send(CONTEXT, issued, ANSWER_MS_MAX)
        except NoDecision:
            self._write("info", issued, client, op, attempt, time.monotonic_ns(), status=UNKNOWN)
            return False
        now = time.monotonic_ns()
        is_refusal = type(answer.recorded.event).__name__.endswith("Refused")
        self._write("fail" if is_refusal else "ok", issued, client, op, attempt, now, answer=answer, status=OK)
        self.acknowledged.append((begun, now, answer.partition))
        return True

    def _write(
        self,
        kind: Literal["invoke", "ok", "fail", "info"],
        issued: Issued[Command],
        client: str,
        op: int,
        attempt: int,
        mono_ns: int,
        *,
        answer: Answer | None = None,
        status: int = 0,
    ) -> None:
        self._log.write(
            Entry(
                kind=kind,
                mono_ns=mono_ns,
                op=op,
                client=client,
                tenant=issued.tenant,
                account=issued.stream_id,
                asked=type(issued.command).__name__,
                command=issued.command_id,
                attempt=attempt,
                status=status,
                topic="" if answer is None else answer.topic,
                partition=-1 if answer is None else answer.partition,
                sequence=-1 if answer is None else answer.recorded.sequence,
                event_id="" if answer is None else answer.recorded.event_id,
                reason="" if answer is None else str(getattr(answer.recorded.event, "reason", "")),
            )
        )

    async def _follow(self, stop: asyncio.Event) -> None:
        """Read the tape, commit the place, and ask for it again: it may never be behind what was committed."""
        reader, groups = Reader(self._bootstrap, "follower"), Groups(self._bootstrap)
        places = [(EVENTS, number) for number in range(PARTITIONS)]
        await reader.assign(dict.fromkeys(places, BEGINNING))
        try:
            while not stop.is_set():
                await reader.take(1_000, 100)
                position = reader.position()
                if not position:
                    continue
                try:
                    await groups.commit(GROUP, {place: (offset, "") for place, offset in position.items()})
                    committed = await groups.committed(GROUP, position)
                except Exception:  # noqa: BLE001  (its host would be started again; here it is counted)
                    self.groups_failed += 1
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                self.went_back += [
                    f"{place} was {offset} and is {committed.get(place)}"
                    for place, offset in position.items()
                    if committed.get(place, (-1, ""))[0] < offset
                ]
                await asyncio.sleep(COMMIT_SECONDS)
        finally:
            await reader.close()
            await groups.close()


def _account_in(partition: int) -> str:
    """A new account whose commands go to this partition: every one of them has its clients."""
    while True:
        account = f"account-{uuid.uuid4().hex[:8]}"
        if murmur2_partition(account.encode(), PARTITIONS) == partition:
            return account
