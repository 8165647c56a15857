"""Power cuts of a running broker: copy its disk at a random instant, recover from the copy, judge what readers get.

The broker and its customers go on; what is recovered is another broker on the copy, with the product's own take-over.
Judged by the independent checker, and offset by offset: whatever was acknowledged before the copy began stands where it
was said to stand, and nothing stands there that the first broker never showed.
"""

import asyncio
import contextlib
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from deploy.local import children, ports
from deploy.local.folders import ROOT
from deploy.local.kafka import LocalKafka, Profile
from infra.kafka.reader import Reader
from tests.faults.checker import collect
from tests.faults.checker.evidence import Entry, Record, lines
from tests.faults.checker.judge import judge
from tests.faults.power import customers, images
from tests.faults.power.cuts import Cut, head, told

DISK_MIB = 768
"""Room for the logs of a few thousand commands; Kafka's indexes are large only by name."""
WARM_ANSWERS = 50
"""Acknowledgements before the first cut."""
WARM_SECONDS_MAX = 120.0
BETWEEN_SECONDS_MAX = 1.5
"""A cut comes at a random instant of this time after the one before was judged."""
SHOWN_SECONDS_MAX = 15.0
"""Longest wait until the first broker's reader has shown what the copy holds already."""
LOOK_AGAIN_SECONDS = 0.05
STOP_SECONDS_MAX = 30.0
PROBES = 4
"""Customers who ask the recovered broker for something new."""
PROBE_ORDERS = 2


class Broker:
    """A broker on a disk of its own with customers at work; `cut` as often as wanted."""

    def __init__(self, folder: Path, disk: images.Disk, seed: int) -> None:
        self._folder = folder
        self._disk = disk
        self._seed = seed
        self._cuts = 0

    @contextlib.contextmanager
    def at_work(self, *, is_flushed: bool) -> Iterator[None]:
        """Customers are served for as long as this lasts."""
        broker = LocalKafka(self._disk.at, profile=Profile.TEST, log=self._folder / "kafka.log").start()
        try:
            argv: list[str | Path] = [sys.executable, "-m", customers.__name__, self._folder, "--kafka"]
            argv += [broker.bootstrap, "--seed", str(self._seed), *([] if is_flushed else ["--without-flush"])]
            child = children.spawn(argv, log=self._folder / "customers.log", cwd=ROOT)
            try:
                self._warm()
                yield
                if child.poll() is not None:
                    raise RuntimeError(f"the customers ended. {children.tail(self._folder / 'customers.log')}")
            finally:
                children.stop(child, limit_s=STOP_SECONDS_MAX)
        finally:
            broker.kill()
            ports.release(broker.port)

    def cut(self, chance: random.Random) -> Cut:
        """One power cut, recovered and judged; its evidence is kept where something was found."""
        time.sleep(chance.uniform(0, BETWEEN_SECONDS_MAX))
        self._cuts += 1
        evidence = self._folder / f"cut-{self._cuts}"
        evidence.mkdir()
        before = {name: head(self._folder / name) for name in (customers.HISTORY, customers.ASKED, customers.PLACES)}
        copy = self._folder / "copy.image"
        waited_s = self._disk.cut(copy)
        begun = time.monotonic()
        try:
            with images.mounted(copy, self._folder / "recovered") as at:
                recovered = LocalKafka(at, profile=Profile.TEST, log=evidence / "kafka.log")
                try:
                    recovered.start()
                    ready_s = time.monotonic() - begun
                    taken_over_at = asyncio.run(_probe(recovered.bootstrap, evidence, self._seed + self._cuts))
                    served_s = time.monotonic() - begun
                    collect.topics(recovered.bootstrap, evidence)
                finally:
                    recovered.kill()
                    ports.release(recovered.port)
            found, what = self._judged(evidence, before, taken_over_at)
        except Exception as failure:  # noqa: BLE001  whatever keeps it from recovering is what a cut is to show
            shutil.copyfile(copy, evidence / "disk.image")
            return Cut(findings=[f"not recovered: {failure!r}"[:500]], what={"of": "kafka"}, evidence=evidence)
        finally:
            copy.unlink(missing_ok=True)
        what |= {"of": "kafka", "writes_waited_ms": round(waited_s * 1_000)}
        return Cut(findings=found, what=what, evidence=evidence, recovered_s=ready_s, served_s=served_s)

    def _warm(self) -> None:
        until = time.monotonic() + WARM_SECONDS_MAX
        while head(self._folder / customers.PLACES).count(b"\n") < WARM_ANSWERS:
            if time.monotonic() > until:
                raise RuntimeError(f"no answers. {children.tail(self._folder / 'customers.log')}")
            time.sleep(LOOK_AGAIN_SECONDS)

    def _judged(
        self, evidence: Path, before: dict[str, bytes], taken_over_at: dict[int, int]
    ) -> tuple[list[str], dict[str, Any]]:
        """What does not hold, and how much was at stake."""
        self._write_history(evidence, before[customers.HISTORY])
        collect.finish(evidence, is_quiet=False, seed=self._seed)
        verdict = judge(evidence)
        found = [f"{each.what}: {each.says} {each.topic}[{each.partition}]" for each in verdict.findings]
        shown = _stands(evidence, customers.EVENTS)
        events, asked = _places(before[customers.PLACES]), _places(before[customers.ASKED])
        found += _differing("event", events, shown)
        found += _differing("command", asked, _stands(evidence, customers.COMMANDS))
        # What stood there when the power went: all before the new owner's first record.
        old = {place: digest for place, digest in shown.items() if place[1] < taken_over_at[place[0]]}
        found += self._invented(old)
        what = {"acknowledged": len(events), "commands": len(asked), "beyond": len(old) - len(events)}
        return found, what

    def _write_history(self, evidence: Path, acknowledged: bytes) -> None:
        """What was asked until now, but answers only as of the cut: later ones are of another world."""
        decode = msgspec.json.Decoder(Entry).decode_lines
        later = decode(head(self._folder / customers.HISTORY)[len(acknowledged) :])
        asked = b"".join(msgspec.json.encode(each) + b"\n" for each in later if each.kind == "invoke")
        (evidence / "histories" / "before.ndjson").write_bytes(acknowledged + asked)

    def _invented(self, old: dict[tuple[int, int], str]) -> list[str]:
        """Events that the first broker shows otherwise or not at all; its reader gets time to come to them."""
        until = time.monotonic() + SHOWN_SECONDS_MAX
        while True:
            known = _places(head(self._folder / customers.PLACES))
            strange = [place for place, digest in old.items() if known.get(place) != digest]
            if not strange:
                return []
            if time.monotonic() > until:
                return [f"never written: event at {place}, {len(strange)} in all" for place in strange[:5]]
            time.sleep(LOOK_AGAIN_SECONDS)


async def _probe(bootstrap: str, evidence: Path, seed: int) -> dict[int, int]:
    """Hosts take over what is left, and a few new customers are served; returns where each partition ended before."""
    customers.declared(bootstrap, is_flushed=True)
    reader = Reader(bootstrap, "ends")
    ends = await reader.ends(customers.EVENTS, read_committed=False)
    await reader.close()
    await customers.trade(bootstrap, evidence, "after", seed, customers=PROBES, orders_max=PROBE_ORDERS)
    return ends


def _stands(evidence: Path, topic: str) -> dict[tuple[int, int], str]:
    """Digest by partition and offset of everything that a reader of the recovered broker gets."""
    found = {}
    for path in (evidence / "topics" / topic).glob("*.committed.ndjson"):
        number = int(path.name.partition(".")[0])
        for record in lines(path, Record):
            found[number, record.offset] = customers.digest(record.value)
    return found


def _places(said: bytes) -> dict[tuple[int, int], str]:
    return {(each.partition, each.offset): each.digest for each in told(said, customers.Place)}


def _differing(what: str, said: dict[tuple[int, int], str], stands: dict[tuple[int, int], str]) -> list[str]:
    lost = [place for place, digest in said.items() if stands.get(place) != digest]
    return [f"lost: {what} at {place}, {len(lost)} of {len(said)} in all" for place in sorted(lost)[:5]]
