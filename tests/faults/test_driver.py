"""The driver of faults: its plans follow from a seed, a line tells what was tried, and what was not with its reason."""

import asyncio
import itertools
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import psutil
import pytest

from tests.faults import driver, ledger, phases
from tests.faults.checker.evidence import FORMAT, Instant, Record, lines
from tests.faults.checker.liveness import Health
from tests.faults.checker.verdict import Verdict
from tests.faults.fault import Missed
from tests.faults.histories import Log
from tests.faults.injectors import registry
from tests.faults.injectors.pressure import ROOM_BYTES, Capped, Paused, Starved, cap
from tests.faults.ledger import Injected, Line
from tests.faults.played import Played, chosen
from tests.faults.storm import AT_ONCE_WEIGHTS, Storm, mixes, tier
from tests.faults.unhandled import Logs
from tests.kit.whole_stack import WholeStack


class Tried:
    """A fault that breaks nothing and counts."""

    def __init__(self, row: str, weight: int = 1, misses: str = "") -> None:
        self.row, self.name, self.weight = row, f"{row} in words", weight
        self.healed = 0
        self.draws: list[float] = []
        self._misses = misses

    def missing(self) -> str:
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        if self._misses:
            raise Missed(self._misses)
        self.draws.append(chance.random())
        return {"process": "nobody"}

    async def heal(self, stack: WholeStack) -> None:
        self.healed += 1


class Still:
    """As much of a stack as the storm itself asks for."""

    def __init__(self) -> None:
        self.doors = self
        self.knocks = 0

    async def knock(self) -> list[Any]:
        self.knocks += 1
        return []

    async def until_ready(self) -> None:
        pass

    def forgive(self) -> None:
        pass


def stormed(folder: Path, faults: list[Tried], seed: int = 7) -> Storm:
    with Log(folder / "instants.ndjson") as instants:
        chance = random.Random(seed)
        storm = Storm(cast("WholeStack", Still()), chance, instants, lambda _: None, calm_s=(0.0, 0.0))
        asyncio.run(storm.run(tier(faults, chance), 60.0))
    return storm


def test_the_tier_has_every_row_twice_and_what_takes_long_once() -> None:
    quick = [Tried(f"F{number}", weight=5) for number in range(9)]
    several, slow = [Tried("F20", weight=5) for _ in range(3)], [Tried("F30", weight=1)]
    planned = [fault for subset in tier([*quick, *several, *slow], random.Random(3)) for fault in subset]
    tried = Counter(fault.row for fault in planned)
    assert tried == Counter({**{fault.row: 2 for fault in quick}, "F20": 3, "F30": 1})
    assert len({id(fault) for fault in planned[:13]}) == 13, "each has its first turn before any has a second"


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    faults = [Tried(f"F{number}") for number in range(9)]

    def planned(seed: int) -> list[list[str]]:
        drawn = itertools.islice(mixes(faults, random.Random(seed)), 40)
        return [[fault.row for fault in subset] for subset in drawn]

    assert planned(1) == planned(1)
    assert planned(1) != planned(2)


def test_a_mix_is_empty_at_times_never_names_a_fault_twice_and_takes_a_heavy_one_more_often() -> None:
    faults = [Tried("F1", 10), Tried("F2", 1), Tried("F3", 1), Tried("F4", 1)]
    drawn = list(itertools.islice(mixes(faults, random.Random(5)), 400))
    assert {len(subset) for subset in drawn} == set(range(len(AT_ONCE_WEIGHTS)))
    assert all(len({fault.row for fault in subset}) == len(subset) for subset in drawn)
    assert sum(faults[0] in subset for subset in drawn) > sum(faults[1] in subset for subset in drawn)


def test_a_storm_counts_what_was_tried_heals_it_and_says_when_nothing_was_wrong(tmp_path: Path) -> None:
    faults = [Tried("F1", 5), Tried("F2", 5, misses="nobody was there")]
    storm = stormed(tmp_path, faults)
    assert storm.trials["F1"] == 2
    assert "F2" not in storm.trials
    assert storm.missed == {"F2": "nobody was there"}
    assert [each.row for each in storm.injected] == ["F1", "F1"]
    assert all(fault.healed == 2 for fault in faults)
    instants = list(lines(tmp_path / "instants.ndjson", Instant))
    assert [each.what for each in instants[-2:]] == ["fault", "healed"]
    assert len(Health(instants).by_mono_ns) == 1 + len(instants) // 2


def test_what_a_fault_draws_does_not_depend_on_the_faults_beside_it(tmp_path: Path) -> None:
    alone, beside = [Tried("F1", 5)], [Tried("F1", 5)]
    stormed(tmp_path / "a", alone)
    stormed(tmp_path / "b", beside)
    assert alone[0].draws == beside[0].draws
    assert len(set(alone[0].draws)) == 2


def test_figures_are_of_every_kill_and_partition() -> None:
    waited = [Injected(row="F1", at_s=0.0, what={"failover_ms": [each, each + 1]}) for each in range(0, 200, 2)]
    found = driver.figures([*waited, Injected(row="F2", at_s=0.0)])
    assert found == {
        "failover_p50_ms": 99.5,
        "failover_p99_ms": 198,
        "failover_max_ms": 199,
        "failover_count": 200,
    }
    assert driver.figures([]) == {}


def test_a_digest_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    first = driver.digest(tmp_path)
    (tmp_path / "a").write_bytes(b"two")
    second = driver.digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, driver.digest(tmp_path)}) == 3


def line(**says: Any) -> Line:
    return Line(run="faults", at="2026-11-24T20:00:00+00:00", commit="none", seed=7, trials={"F1": 2}, **says)


def test_evidence_of_what_failed_is_kept_and_of_what_was_clean_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    for name, findings in (("clean", []), ("found", [{"invariant": "I1", "what": "lost", "says": "an order"}])):
        (tmp_path / name).mkdir()
        played = Played("faults", "F1", tmp_path / "ledger.ndjson", [], tier, 1.0, say=said.append)
        played.tell(line(findings=findings), tmp_path / name)
        assert (tmp_path / name).exists() is bool(findings)
        assert played.ended() == (1 if findings else 0)
    assert "FOUND I1 lost: an order" in said
    assert any("make faults SEED=7 ROWS=F1" in each for each in said)


def test_a_broken_harness_is_told_apart_from_what_did_not_come_back() -> None:
    late = driver.broken_by(AssertionError("sagas did not come back"), ["sagas: died"])
    assert late["what"] == "liveness"
    assert "sagas: died" in late["says"]
    assert str(ledger.ROOT) not in driver.broken_by(TimeoutError(), [f"died ({ledger.ROOT}/logs)"])["says"]
    assert driver.broken_by(TimeoutError(), [])["what"] == "liveness"
    assert driver.broken_by(RuntimeError("no such table"), [])["what"] == driver.HARNESS


def test_what_nobody_judged_counts_as_no_trial(tmp_path: Path) -> None:
    storm = stormed(tmp_path, [Tried("F1", 5)])
    played = driver.Round("faults", 7, [Tried("F1", 5)], tier, 1.0)
    broke = driver.broken_by(RuntimeError("no such table"), [])
    for found, trials, failed in (
        (None, {"F1": 2}, {}),
        (broke, {}, {}),
        (broke | {"what": "liveness"}, {"F1": 2}, {"F1": 1}),
    ):
        line = played.line(storm, Verdict(), found, tmp_path, 1.0)
        assert (line.trials, line.failed) == (trials, failed)


def test_a_row_without_a_fault_is_no_row_to_ask_for() -> None:
    assert {fault.row for fault in chosen("F1,F18")} == {"F1", "F18"}
    with pytest.raises(LookupError, match="F99"):
        chosen("F1,F99")


def test_phases_are_told_from_what_lies_on_the_tape(tmp_path: Path) -> None:
    killed_ms, killed_ns = 1_000, 50
    topic = tmp_path / "topics" / phases.ORDERS
    topic.mkdir(parents=True)
    (tmp_path / "run.json").write_bytes(msgspec.json.encode({"format": FORMAT}))

    def record(offset: int, at_ms: int, command: str) -> bytes:
        headers = msgspec.Raw(msgspec.json.encode({"command-id": command.encode()}))
        return msgspec.json.encode(Record(offset, at_ms, b"", b"", headers)) + b"\n"

    ended, again = record(0, 900, "ended"), record(3, 2_000, "produced")
    late = record(4, 2_000, "before")
    (topic / "0.committed.ndjson").write_bytes(ended + again + late)
    (topic / "0.uncommitted.ndjson").write_bytes(ended + record(1, 990, "produced") + again + late)
    flying = [("ended", 90), ("produced", 95), ("before", 96), ("told", 40)]
    what = {phases.FLYING: flying, phases.KILLED_NS: killed_ns, phases.KILLED_MS: killed_ms, "process": "deciders"}
    told = driver.told(tmp_path, [Injected(row="F1", at_s=0.0, what=what)])
    expected = dict.fromkeys((phases.BEFORE, phases.PRODUCED, phases.ENDED, phases.ANSWERED), 1)
    assert told[0].what == {"process": "deciders", "phases": expected}


def test_what_ended_a_process_and_no_fault_explains_is_told(tmp_path: Path) -> None:
    log = tmp_path / "sagas.log"
    line = {"event": "the process ends", "exception": "Traceback\n  File\nValueError: of before"}
    log.write_bytes(msgspec.json.encode(line) + b"\n")
    logs = Logs(tmp_path)
    with log.open("ab") as file:
        for kind in ("KeyError: 'x'\nconcerns correlation_id 7", "infra.kafka.writer.Fenced: somebody reigns"):
            said = {"event": "the process ends", "exception": f"Traceback\n  File\n{kind}"}
            file.write(msgspec.json.encode(said) + b"\nno json\n")
    stack = SimpleNamespace(names=lambda: ["sagas", "kafka"], pid=lambda name: 1 if name == "sagas" else None)
    sagas, kafka = logs.processes(cast("WholeStack", stack))
    assert (sagas.is_running, sagas.unhandled) == (True, ["KeyError: 'x'"])
    assert not kafka.is_running


def test_every_fault_of_every_family_has_a_row_a_name_and_a_weight() -> None:
    found = registry.every()
    assert {"F1", "F2", "F3", "F5", "F6", "F7", "F8", "F18"} <= {fault.row for fault in found}
    assert len({fault.name for fault in found}) == len(found)
    assert all(fault.weight > 0 and fault.row[0] == "F" and fault.row[1:].isdigit() for fault in found)


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limits of other processes on this system")
def test_a_capped_process_is_refused_memory_and_gets_it_when_the_cap_is_lifted() -> None:
    asks = "import sys\nfor line in sys.stdin:\n    try: bytearray(int(line)); print('got', flush=True)\n"
    asks += "    except MemoryError: print('refused', flush=True)\n"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", asks], text=True, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def asked() -> str:
            print(64 * 2**20, file=child.stdin, flush=True)
            return str(child.stdout and child.stdout.readline()).strip()

        assert asked() == "got"
        before = cap(child.pid, ROOM_BYTES[1])
        assert asked() == "refused"
        psutil.Process(child.pid).rlimit(psutil.RLIMIT_AS, before)
        assert asked() == "got"
        child.stdin.close()


def test_pressure_faults_say_whether_this_machine_can_do_them() -> None:
    assert [fault.missing() for fault in (Paused(), Starved())] == ["", ""]
    assert isinstance(Capped().missing(), str)
