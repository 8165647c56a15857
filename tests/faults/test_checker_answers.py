"""The checker holds what clients were told against the tape, and what aborted transactions left against all."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from infra.avro.codec import Codec
from tests.faults.checker.evidence import Entry, Record
from tests.faults.checker.judge import judge
from tests.faults.checker.verdict import Verdict
from tests.faults.worlds import World

replace = msgspec.structs.replace


def judged(world: World, tmp_path: Path) -> Verdict:
    return judge(world.write(tmp_path / "run"))


def said(verdict: Verdict) -> list[str]:
    return [f"{each.what}: {each.says}" for each in verdict.findings]


def told(world: World, kind: str, at: int = 10) -> int:
    """Where an answer of this kind is in the history; the tenth."""
    return [index for index, entry in enumerate(world.history) if entry.kind == kind][at]


def acknowledged_and_never_written(world: World) -> None:
    at = told(world, "ok")
    for index in (at - 1, at):
        world.history[index] = replace(world.history[index], command="nobody has heard of it")


def acknowledged_in_a_place_beyond_the_tape(world: World) -> None:
    at = told(world, "ok")
    world.history[at] = replace(world.history[at], sequence=10_000)


def acknowledged_without_a_place(world: World) -> None:
    at = told(world, "ok")
    world.history[at] = replace(world.history[at], command="unheard", sequence=-1)


def acknowledged_what_was_refused(world: World) -> None:
    at = told(world, "fail")
    world.history[at] = replace(world.history[at], kind="ok")


def refused_what_was_done(world: World) -> None:
    at = told(world, "ok")
    world.history[at] = replace(world.history[at], kind="fail")


def refused_at_the_door_and_done(world: World) -> None:
    at = told(world, "ok")
    world.history[at] = replace(world.history[at], kind="fail", sequence=-1, status=422)


def refused_for_another_reason(world: World) -> None:
    at = told(world, "fail")
    world.history[at] = replace(world.history[at], reason="THE_WEATHER")


def answered_with_the_event_of_another_account(world: World) -> None:
    at = told(world, "ok")
    world.history[at] = replace(world.history[at], account="account-9")


def answered_before_what_was_answered_before_it(world: World) -> None:
    """The later of two answers of one account is moved before the request of the earlier."""
    late = told(world, "ok", 40)
    answer = world.history[late]
    before = [(each.account, each.topic, each.kind) for each in world.history[:late]]
    early = late - before[::-1].index((answer.account, answer.topic, "ok")) - 2
    asked, moved = world.history.pop(late - 1), world.history.pop(late - 1)
    world.history[early:early] = [asked, moved]
    world.history = [replace(entry, mono_ns=number) for number, entry in enumerate(world.history)]


LIES: dict[Callable[[World], None], str] = {
    acknowledged_and_never_written: "lost: POST /v1 was answered 201, and another command's event stands there",
    acknowledged_in_a_place_beyond_the_tape: "lost: POST /v1 was answered 201, and nothing stands there",
    acknowledged_without_a_place: "lost: POST /v1 was answered 201",
    acknowledged_what_was_refused: "lost: it was acknowledged with 409",
    refused_what_was_done: "failed-but-done: it was refused with 201",
    refused_at_the_door_and_done: "failed-but-done: POST /v1 was refused with 422 before it was sent",
    refused_for_another_reason: "never-written: c was told",
    answered_with_the_event_of_another_account: "tenant: account-9 of acme was answered with an event of",
    answered_before_what_was_answered_before_it: "reordered: it was asked after the answer of sequence",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_to_a_client_is_named(lie: Callable[[World], None], codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    lie(world)
    found = said(judged(world, tmp_path))
    assert any(each.startswith(LIES[lie]) for each in found), found
    assert all("projection" not in each and "chain" not in each for each in found), found


def test_an_unknown_outcome_may_have_been_done_once_or_not_at_all(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    at = told(world, "ok")
    asked, answer = world.history[at - 1], world.history[at]
    world.history[at] = replace(answer, kind="info", sequence=-1)
    lost = replace(asked, command="never arrived", op=9_000, mono_ns=10**12)
    world.history += [lost, replace(lost, kind="info", mono_ns=10**12 + 1)]
    assert judged(world, tmp_path).is_clean


def test_a_repeat_is_told_its_first_answer_whatever_was_decided_in_between(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    at = told(world, "ok")
    asked, answer = world.history[at - 1], world.history[at]
    end = world.history[-1].mono_ns
    world.history[at] = replace(answer, kind="info", sequence=-1)
    world.history += [replace(asked, attempt=2, mono_ns=end + 1), replace(answer, attempt=2, mono_ns=end + 2)]
    assert judged(world, tmp_path).is_clean


def test_a_try_that_was_turned_away_does_not_undo_the_one_before_it(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    at = told(world, "ok")
    end = world.history[-1].mono_ns
    again = replace(world.history[at - 1], attempt=2, mono_ns=end + 1)
    world.history += [again, replace(again, kind="fail", status=401, mono_ns=end + 2)]
    assert judged(world, tmp_path).is_clean


def test_clients_with_files_of_their_own_are_merged_by_the_clock(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    folder = world.write(tmp_path / "run")
    lines = (folder / "histories" / "clients.ndjson").read_bytes().splitlines(keepends=True)
    (folder / "histories" / "clients.ndjson").write_bytes(b"".join(lines[0::4] + lines[1::4]))
    (folder / "histories" / "others.ndjson").write_bytes(b"".join(lines[2::4] + lines[3::4]))
    for path in (folder / "histories").glob("*.ndjson"):
        entries = sorted(msgspec.json.Decoder(Entry).decode_lines(path.read_bytes()), key=lambda each: each.mono_ns)
        path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in entries))
    verdict = judge(folder)
    assert verdict.is_clean
    assert verdict.judged["operations"] == len(lines) // 2


def aborted(world: World) -> None:
    """The last fact of a partition was never committed, though its client and its partner were told."""
    place = max((p for p in world.committed if p[0] == "orders.events"), key=lambda p: len(world.committed[p]))
    world.cut(place)


def test_what_was_aborted_may_be_on_the_log_and_nowhere_else(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place = next(p for p in world.uncommitted if p[0] == "orders.events")
    last = world.uncommitted[place][-1]
    ghost = replace(world.codec.decode_event(last.value), command_id="aborted", sequence=len(world.uncommitted[place]))
    world.uncommitted[place].append(Record(last.offset + 1, 0, last.key, world.codec.encode_event(ghost)))
    verdict = judged(world, tmp_path)
    assert verdict.is_clean, said(verdict)
    assert verdict.judged["ghosts"] == 1


def test_an_answer_and_a_frame_from_an_aborted_transaction_are_named(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    aborted(world)
    found = said(judged(world, tmp_path))
    assert any(each.startswith("aborted-but-seen: it was answered from offset") for each in found), found
    assert any(each.startswith("aborted-but-seen: streams/p was shown offset") for each in found), found
