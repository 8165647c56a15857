"""Whatever is changed anywhere in the evidence of a good run, the checker finds something."""

from pathlib import Path

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.avro.codec import Codec
from tests.faults.checker.judge import judge
from tests.faults.worlds import World

replace = msgspec.structs.replace
anywhere = st.integers(0, 1_000_000)
tried = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def records(world: World) -> list[tuple[tuple[str, int], int]]:
    """Every record of events and feeds: its partition and its index there."""
    return [(place, index) for place, log in sorted(world.committed.items()) for index in range(len(log))]


@tried
@example(which=1, byte=5, bit=1).via("a length that cuts the texts behind it in the midst of a character")
@given(which=anywhere, byte=anywhere, bit=st.integers(0, 7))
def test_a_bit_that_flipped_in_any_record_is_found(
    which: int, byte: int, bit: int, codec: Codec, tmp_path: Path
) -> None:
    world = World(codec)
    place, index = (found := records(world))[which % len(found)]
    value = bytearray(world.committed[place][index].value)
    value[byte % len(value)] ^= 1 << bit
    world.committed[place][index].value = bytes(value)
    assert not judge(world.write(tmp_path / "run")).is_clean, (place, index, byte % len(value))


@tried
@given(which=anywhere)
def test_any_record_that_is_gone_is_found(which: int, codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place, index = (found := records(world))[which % len(found)]
    del world.committed[place][index]
    assert not judge(world.write(tmp_path / "run")).is_clean, (place, index)


@tried
@given(which=anywhere, moved=st.integers(1, 3))
def test_any_answer_that_names_another_place_is_found(which: int, moved: int, codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    told = [at for at, entry in enumerate(world.history) if entry.kind != "invoke"]
    at = told[which % len(told)]
    world.history[at] = replace(world.history[at], sequence=world.history[at].sequence + moved)
    assert not judge(world.write(tmp_path / "run")).is_clean, world.history[at]


@tried
@given(which=anywhere, change=st.sampled_from(["gone", "twice", "number", "sequence", "event_id", "account_id"]))
def test_any_frame_that_is_gone_or_told_otherwise_is_found(
    which: int, change: str, codec: Codec, tmp_path: Path
) -> None:
    world = World(codec)
    told = [at for at, heard in enumerate(world.frames) if heard.what == "frame"]
    at = told[which % len(told)]
    frame = world.frames[at].frame
    match change:
        case "gone":
            del world.frames[at]
        case "twice":
            world.frames.insert(at, world.frames[at])
        case "number" | "sequence":
            frame[change] += 1
        case _:
            frame["event"][change] += "1"
    assert not judge(world.write(tmp_path / "run")).is_clean, frame


@tried
@given(which=anywhere)
def test_any_event_that_an_honest_looking_tape_lacks_is_found(which: int, codec: Codec, tmp_path: Path) -> None:
    """The event is gone and every hash, root, frame and row of the rest is made to fit: its client still knows."""
    world = World(codec)
    events = [(place, index) for place, index in records(world) if place[0].endswith(".events") and index]
    place, index = events[which % len(events)]
    del world.committed[place][index]
    world.rechain(place, index)
    found = judge(world.write(tmp_path / "run")).found
    assert {"lost", "never-written"} & found.keys(), found
