"""The checker knows when faults were: what waits while all is well is named, what waits through a fault is not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infra.avro.codec import Codec
from tests.faults.checker.evidence import Entry, Folder, Instant, Unreadable
from tests.faults.checker.judge import judge
from tests.faults.checker.liveness import Health, too_long
from tests.faults.worlds import World
from tests.tidy.sources import ROOT

replace = msgspec.structs.replace
SECOND_NS = 1_000_000_000
SECOND_US = 1_000_000


def at(what: str, second: int) -> dict[str, Any]:
    return {"what": what, "mono_ns": second * SECOND_NS, "wall_us": second * SECOND_US}


def stretched(world: World, seconds: int) -> None:
    """The last answer of the history comes so much later."""
    answer = world.history[-1]
    world.history[-1] = replace(answer, mono_ns=answer.mono_ns + seconds * SECOND_NS)


def said(world: World, tmp_path: Path) -> list[str]:
    return [f"{each.what}: {each.says}" for each in judge(world.write(tmp_path / "run")).findings]


@pytest.mark.parametrize(
    ("waited", "instants", "is_named"),
    [
        (31, [], True),
        (29, [], False),
        (50, [("fault", 1), ("healed", 25)], False),
        (60, [("fault", 1), ("healed", 25)], True),
        (60, [("fault", 1), ("healed", 10), ("fault", 30), ("healed", 50)], False),
        (90, [("fault", 1), ("healed", 10), ("fault", 50), ("healed", 70)], True),
    ],
)
def test_an_answer_is_late_when_nothing_was_wrong_for_half_a_minute(
    waited: int, instants: list[tuple[str, int]], is_named: bool, codec: Codec, tmp_path: Path
) -> None:
    world = World(codec)
    stretched(world, waited)
    world.instants = [at(what, second) for what, second in instants]
    found = said(world, tmp_path)
    assert any(each.startswith("liveness: answered after") for each in found) is is_named, found


def test_an_answer_that_never_comes_is_named_as_long_as_its_client_asks(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    end = world.history[-1].mono_ns
    lost = replace(world.history[-2], command="lost", op=9_000, mono_ns=end + 1)
    tries: list[Entry] = []
    for attempt in range(1, 6):
        asked = replace(lost, attempt=attempt, mono_ns=end + attempt * 10 * SECOND_NS)
        tries += [asked, replace(asked, kind="info", mono_ns=asked.mono_ns + 9 * SECOND_NS)]
    before = list(world.history)
    world.history = before + tries[:4]
    assert not said(world, tmp_path)
    world.history = before + tries
    assert any(each.startswith("liveness: not answered after") for each in said(world, tmp_path))


def test_a_command_that_waits_for_its_decision_is_named(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place = ("orders.commands", next(iter(world.events("OrderPlaced")))[0][1])
    sent = world.commands[place][10].at_ms
    world.commands[place][10].at_ms -= 40_000
    assert any(each.startswith("liveness: decided after 40") for each in said(world, tmp_path))
    world.instants = [at("fault", sent // 1_000 - 38), at("healed", sent // 1_000 - 5)]
    assert not said(world, tmp_path)


def test_a_process_that_is_down_or_died_of_an_exception_is_named(codec: Codec, tmp_path: Path) -> None:
    folder = World(codec).write(tmp_path / "run")
    rows = [{"name": "deciders", "is_running": False}, {"name": "sagas", "is_running": True, "unhandled": ["KeyError"]}]
    (folder / "processes.ndjson").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    found = [each.says for each in judge(folder).findings if each.invariant == "I11"]
    assert found == ["deciders does not run at the end", "sagas: KeyError"]


def test_stretches_lie_between_a_healing_and_the_next_fault() -> None:
    instants = [
        msgspec.convert(at(what, second), Instant) for what, second in (("healed", 10), ("fault", 50), ("fault", 60))
    ]
    (stretch,) = Health(instants).by_mono_ns
    assert stretch[1] == 50 * SECOND_NS
    assert too_long([(0, 100, 30)], 10, 45) == 35
    assert too_long([(0, 100, 30), (200, 300, 30)], 90, 215) == 0


def test_the_command_prints_its_verdict_and_says_by_its_code_what_it_found(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    argv = [sys.executable, "-m", "tests.faults.checker", str(world.write(tmp_path / "run"))]
    clean = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    assert (clean.returncode, msgspec.json.decode(clean.stdout)["is_clean"]) == (0, True)
    stretched(world, 40)
    world.write(tmp_path / "run")
    late = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    assert (late.returncode, msgspec.json.decode(late.stdout)["found"]) == (1, {"liveness": 1})
    (tmp_path / "run" / "run.json").write_text("{}")
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, check=False).returncode == 2


def test_a_line_that_was_cut_off_with_its_writer_is_dropped_and_one_that_is_no_entry_is_not(
    codec: Codec, tmp_path: Path
) -> None:
    folder = World(codec).write(tmp_path / "run")
    path = folder / "histories" / "clients.ndjson"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind":"invoke","mono_ns":1')
    assert judge(folder).is_clean
    path.write_bytes(whole + b"{}\n")
    with pytest.raises(Unreadable, match=r"clients\.ndjson"):
        judge(folder)


def test_a_folder_without_its_sheet_is_no_evidence(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"run\.json"):
        Folder(tmp_path)
