"""A run of kills: whom each hits, what must go on meanwhile, and what the checker finds in the end."""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from deploy.local import children
from infra.catalogue import deciding
from infra.kafka.topics import declare
from infra.kafka.writer import transactional_ids
from infra.settings import PARTITIONS
from tests.faults import ledger
from tests.faults.checker import answers, collect, commands, tape
from tests.faults.checker.avro import PROJECT_SCHEMAS, Schemas
from tests.faults.checker.evidence import Folder, Instant
from tests.faults.checker.verdict import Findings
from tests.faults.cluster import whom
from tests.faults.cluster.brokers import COUNT, Member, Trio
from tests.faults.cluster.workload import CONTEXT, EVENTS, GROUP, Workload
from tests.faults.histories import Log

ROW = "F10"
PROFILE = "three brokers"
CLIENTS = 6
AGAIN_SECONDS = 0.5
LIVE_SECONDS_MAX = 30.0
"""Longest time until every partition answers a new command, from the kill of one broker or the return of the second."""
START_SECONDS_MAX = 120.0
"""Longest start of a host and its clients on a busy machine."""
STOP_SECONDS_MAX = 30.0
STAYS_AWAY = 0.5
"""How often a dead broker stays away until the others answer; else it comes back into their elections."""
AWAY_SECONDS = (0.0, 2.0)
BELOW_SECONDS = (3.0, 8.0)
"""How long two of three are away: nothing may be acknowledged meanwhile."""
BELOW = "below min ISR"
KINDS = {"leader": 4, "controller": 3, "transaction coordinator": 4, "group coordinator": 2, "rolling": 1, BELOW: 2}
"""What is done, and how often each in relation to others."""
Say = Callable[[str], None]


class Run:
    """One cluster, one host, one workload."""

    def __init__(
        self, trio: Trio, folder: Path, chance: random.Random, say: Say, kinds: Iterable[str] = tuple(KINDS)
    ) -> None:
        self._trio = trio
        self._folder = folder
        self._chance = chance
        self._say = say
        self._kinds = tuple(kinds)
        self._load = Workload(trio.bootstrap, folder / "histories" / "clients.ndjson", CLIENTS)
        self._instants = Log(folder / "instants.ndjson")
        self._findings = Findings()
        self._begun = time.monotonic()
        self._injected: list[ledger.Injected] = []
        self._outages_ms: list[float] = []
        self._host_starts = 0
        self._rounds = 0
        self.kills = 0

    async def play(self, kills: int) -> None:
        """All kills, then quiet, then the judgement."""
        await asyncio.to_thread(declare, self._trio.bootstrap, list(deciding(CONTEXT)), COUNT)
        async with self._hosted(), self._load.running():
            if await self._load.until_acknowledged(0, START_SECONDS_MAX) is None:
                raise children.NotReady("nothing is decided even before the first kill")
            while self.kills < kills:
                await self._round(self._next_kind())
            await asyncio.sleep(AGAIN_SECONDS)
        await asyncio.to_thread(self._judge)

    def line(self, seed: int) -> ledger.Line:
        """The run as the ledger keeps it."""
        verdict = self._findings.verdict({})
        count = sum(verdict.found.values())
        outages = sorted(self._outages_ms)
        figures = {
            "outage_p50_ms": round(outages[len(outages) // 2]),
            "outage_max_ms": round(outages[-1]),
            "host_starts": float(self._host_starts),
            "commits_refused": float(self._load.groups_failed),
            "load_average": round(os.getloadavg()[0], 1),
        }
        return ledger.Line(
            run="cluster",
            at=ledger.now(),
            commit=ledger.commit(),
            seed=seed,
            profile=PROFILE,
            trials={ROW: self.kills},
            failed={ROW: min(count, self.kills)} if count else {},
            faults=self._injected,
            operations=verdict.judged | {"acknowledged": len(self._load.acknowledged), "asked": self._load.asked},
            findings=[{"what": each.what, "says": each.says} for each in verdict.findings[: ledger.FAILED_MAX]],
            figures=figures,
        )

    def keep(self, folder: Path) -> None:
        """The evidence of a run that failed, whole, and what the brokers and the host said."""
        shutil.copytree(self._folder, folder)
        for log in (*(member.log for member in self._trio.members), self._host_log):
            shutil.copyfile(log, folder / f"{log.parent.name}-{log.name}")

    def _next_kind(self) -> str:
        """Each once in the order given, then by weight."""
        if self._rounds < len(self._kinds):
            return self._kinds[self._rounds]
        return self._chance.choices(self._kinds, [KINDS[kind] for kind in self._kinds])[0]

    async def _round(self, kind: str) -> None:
        """One kind of kill, and its end: everything is in sync again, and every partition answers."""
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        try:
            victims = await asyncio.to_thread(self._victims, kind)
        except whom.Unknown as unknown:
            self._say(f"{kind}: {unknown}")
            await asyncio.sleep(AGAIN_SECONDS)
            return
        at_s = round(time.monotonic() - self._begun, 1)
        self._instants.write(_instant("fault", kind))
        if kind == BELOW:
            what = await self._below(victims)
        else:
            what = {"took_ms": [await self._one(victim) for victim in victims]}
        self._instants.write(_instant("healed", kind))
        self._rounds += 1
        self.kills += len(victims)
        what |= {"kind": kind, "brokers": [victim.number for victim in victims]}
        self._injected.append(ledger.Injected(row=ROW, at_s=at_s, what=what))
        self._say(f"{self.kills}: {what}; {len(self._load.acknowledged)} acknowledged")

    def _victims(self, kind: str) -> list[Member]:
        number = self._chance.randrange(PARTITIONS)
        if kind == "leader":
            return [self._trio.member(whom.leader(self._trio, EVENTS, number))]
        if kind == "controller":
            return [self._trio.member(whom.controller(self._trio))]
        if kind == "transaction coordinator":
            key = self._chance.choice(transactional_ids(EVENTS, number))
            return [self._trio.member(whom.coordinator(self._trio, whom.TRANSACTION, key))]
        if kind == "group coordinator":
            return [self._trio.member(whom.coordinator(self._trio, whom.GROUP, GROUP))]
        shuffled = self._chance.sample(self._trio.members, COUNT)
        return shuffled if kind == "rolling" else shuffled[:2]

    async def _one(self, victim: Member) -> float:
        """One of three dies: the others go on by themselves. Milliseconds until every partition answered again."""
        began = time.monotonic_ns()
        await asyncio.to_thread(victim.kill)
        answering = asyncio.create_task(self._load.until_acknowledged(began, LIVE_SECONDS_MAX))
        if self._chance.random() < STAYS_AWAY:
            await answering
        await asyncio.sleep(self._chance.uniform(*AWAY_SECONDS))
        await asyncio.to_thread(self._trio.revive, victim)
        outage_ms = await answering
        if outage_ms is None:
            says = f"broker {victim.number} was killed, and not every partition answered in {LIVE_SECONDS_MAX:.0f} s"
            self._findings.add("liveness", says)
        else:
            self._outages_ms.append(outage_ms)
        return round(outage_ms or -1)

    async def _below(self, victims: list[Member]) -> dict[str, object]:
        """Two of three die: nothing is acknowledged until one is back, then everything goes on unaided."""
        await asyncio.gather(*(asyncio.to_thread(victim.kill) for victim in victims))
        gone = time.monotonic_ns()
        await asyncio.sleep(self._chance.uniform(*BELOW_SECONDS))
        lied = self._load.told_between(gone, time.monotonic_ns())
        if lied:
            self._findings.add("never-written", f"{lied} commands were acknowledged with two of three brokers dead")
        await asyncio.to_thread(self._trio.revive, *victims)
        back = time.monotonic_ns()
        waited_ms = await self._load.until_acknowledged(back, LIVE_SECONDS_MAX)
        if waited_ms is None:
            says = f"all brokers are back, and not every partition answered in {LIVE_SECONDS_MAX:.0f} s"
            self._findings.add("liveness", says)
        return {"away_ms": round((back - gone) / 1e6), "then_ms": round(waited_ms or -1)}

    @contextlib.asynccontextmanager
    async def _hosted(self) -> AsyncIterator[None]:
        """The decider host, started again whenever it ends."""
        stop = asyncio.Event()
        keeping = asyncio.create_task(self._keep_host(stop))
        try:
            yield
        finally:
            stop.set()
            await keeping

    async def _keep_host(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._host_starts += 1
            argv = [
                sys.executable,
                "-m",
                "tests.faults.cluster.host",
                self._trio.bootstrap,
                f"host-{self._host_starts}",
            ]
            with self._host_log.open("ab") as log:
                host = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=subprocess.STDOUT)
            ended, told = asyncio.create_task(host.wait()), asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()
                if host.returncode is None:
                    host.terminate()
                    try:
                        await asyncio.wait_for(ended, STOP_SECONDS_MAX)
                    except TimeoutError:
                        host.kill()
                        await host.wait()

    @property
    def _host_log(self) -> Path:
        return self._folder.parent / "host.log"

    def _judge(self) -> None:
        """The checker's judgements of the tape, of commands and of answers; the group's places were judged at once."""
        for each in self._load.went_back:
            self._findings.add("lost", f"the place of a group went back: {each}")
        collect.topics(self._trio.bootstrap, self._folder)
        collect.finish(self._folder, is_quiet=False)
        folder, schemas = Folder(self._folder), Schemas(PROJECT_SCHEMAS)
        found = tape.read(folder, schemas, self._findings)
        commands.judge(folder, found, schemas, self._findings)
        answers.judge(folder, found, self._findings)


def _instant(what: str, name: str) -> Instant:
    kind = "fault" if what == "fault" else "healed"
    return Instant(what=kind, mono_ns=time.monotonic_ns(), wall_us=time.time_ns() // 1_000, name=name)  # type: ignore[arg-type]  # one of two words
