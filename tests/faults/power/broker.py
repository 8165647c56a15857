"""Power cuts of a running broker: copy its disk at a random instant, recover from the copy, judge what readers get.

The broker and its customers go on. Of most copies the files are read as a broker's recovery would read them; on some,
once the first is gone, another broker is started, with the product's own take-over, and the independent checker judges
its topics. Either way, record by record: whatever was acknowledged before the copy began stands where it was said to
stand, and nothing stands there that the first broker never showed.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from deploy.local import children, ports
from deploy.local.folders import ROOT
from deploy.local.kafka import LocalKafka, Profile
from infra.kafka.reader import Reader
from infra.settings import PARTITIONS
from tests.faults.checker import collect
from tests.faults.checker.evidence import Entry, Record, lines
from tests.faults.checker.judge import judge
from tests.faults.power import customers, images, segments
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
RECOVERED_EVERY = 16
"""Every so many cuts a broker starts on the copy, which takes seconds of both cores; between them files are read."""
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
        """One power cut; its evidence is the caller's to keep or to remove.

        A broker starts on a copy only once the first is gone: until it has registered anew the copy sends the markers
        of transactions to the address of the first, which would take them.
        """
        time.sleep(chance.uniform(0, BETWEEN_SECONDS_MAX))
        evidence = self._folder / f"cut-{self._cuts}"
        evidence.mkdir()
        before = {name: head(self._folder / name) for name in (customers.HISTORY, customers.ASKED, customers.PLACES)}
        copy, begun_ns = evidence / "copy.image", time.monotonic_ns()
        waited_s = self._disk.cut(copy)
        by = "files" if self._cuts % RECOVERED_EVERY else "broker"
        self._cuts += 1
        cut = Cut(evidence=evidence, what={"of": "kafka", "by": by, "writes_waited_ms": round(waited_s * 1_000)})
        if by == "files":
            self._concluded(cut, copy, lambda at: self._read(cut, before, at))
        else:
            cut.later = lambda: self._concluded(cut, copy, lambda at: self._served(cut, before, begun_ns, at))
        return cut

    def _concluded(self, cut: Cut, copy: Path, judged: Callable[[Path], None]) -> None:
        """Judge what is left; the copy is kept where it does not recover."""
        try:
            with images.mounted(copy, self._folder / "recovered") as at:
                judged(at)
        except Exception as failure:  # noqa: BLE001  whatever keeps it from recovering is what a cut is to show
            cut.findings.append(f"not recovered: {failure!r}"[:500])
        else:
            copy.unlink()

    def _read(self, cut: Cut, before: dict[str, bytes], at: Path) -> None:
        shown, asked = (
            _digests(segments.records(at / "data", topic)) for topic in (customers.EVENTS, customers.COMMANDS)
        )
        self._compare(cut, before, shown, asked, dict.fromkeys(range(PARTITIONS), sys.maxsize))

    def _served(self, cut: Cut, before: dict[str, bytes], begun_ns: int, at: Path) -> None:
        taken_over_at = self._recover(at, cut.evidence, cut)
        cut.findings += self._verdict(cut.evidence, before[customers.HISTORY], begun_ns)
        shown, asked = (_stands(cut.evidence, topic) for topic in (customers.EVENTS, customers.COMMANDS))
        self._compare(cut, before, shown, asked, taken_over_at)

    def _recover(self, at: Path, evidence: Path, cut: Cut) -> dict[int, int]:
        """Start a broker and hosts on what is left, serve new customers, take the evidence."""
        begun = time.monotonic()
        recovered = LocalKafka(at, profile=Profile.TEST, log=evidence / "kafka.log")
        try:
            recovered.start()
            cut.recovered_s = time.monotonic() - begun
            taken_over_at = asyncio.run(_probe(recovered.bootstrap, evidence, self._seed + self._cuts))
            cut.served_s = time.monotonic() - begun
            collect.topics(recovered.bootstrap, evidence)
        finally:
            recovered.kill()
            ports.release(recovered.port)
        return taken_over_at

    def _warm(self) -> None:
        until = time.monotonic() + WARM_SECONDS_MAX
        while head(self._folder / customers.PLACES).count(b"\n") < WARM_ANSWERS:
            if time.monotonic() > until:
                raise RuntimeError(f"no answers. {children.tail(self._folder / 'customers.log')}")
            time.sleep(LOOK_AGAIN_SECONDS)

    def _verdict(self, evidence: Path, acknowledged: bytes, begun_ns: int) -> list[str]:
        """What the independent checker finds in the recovered broker's topics."""
        self._write_history(evidence, acknowledged)
        now = {"mono_ns": time.monotonic_ns(), "wall_us": time.time_ns() // 1_000}
        begun = {"mono_ns": begun_ns, "wall_us": now["wall_us"] - (now["mono_ns"] - begun_ns) // 1_000}
        instants = [{"what": "fault", **begun}, {"what": "healed", **now}]
        (evidence / "instants.ndjson").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in instants))
        collect.finish(evidence, is_quiet=False, seed=self._seed)
        return [f"{each.what}: {each.says} {each.topic}[{each.partition}]" for each in judge(evidence).findings]

    def _compare(
        self,
        cut: Cut,
        before: dict[str, bytes],
        shown: dict[tuple[int, int], str],
        asked: dict[tuple[int, int], str],
        taken_over_at: dict[int, int],
    ) -> None:
        """What was told before the cut, record by record, against what is left of it."""
        events, commands = _places(before[customers.PLACES]), _places(before[customers.ASKED])
        # What stood there when the power went: all before the new owner's first record.
        old = {place: digest for place, digest in shown.items() if place[1] < taken_over_at[place[0]]}
        cut.findings += [*_differing("event", events, shown), *_differing("command", commands, asked)]
        cut.findings += self._invented(old)
        cut.what |= {"acknowledged": len(events), "commands": len(commands), "beyond": len(old) - len(events)}

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


def _digests(values: dict[tuple[int, int], bytes]) -> dict[tuple[int, int], str]:
    return {place: customers.digest(value) for place, value in values.items()}


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
