"""The rig of power cuts bites: what was not flushed is gone, a copy is one instant, a broken disk is not believed."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Outgoing
from infra.kafka.topics import TopicSpec, declare
from tests.faults.power import images, segments
from tests.faults.power.__main__ import ROW, batch

SIZE_MIB = 64
FAR = 32 * images.MIB
"""Between two counters of one file: a copy comes to the second long after the first."""
CUTS = 5
WARM = 2


@pytest.fixture
def folder() -> Iterator[Path]:
    if why := images.missing():
        pytest.skip(why)
    with images.workplace() as made:
        yield made


def test_what_was_flushed_is_in_the_copy_and_what_was_not_is_lost(folder: Path) -> None:
    with images.disk(folder, SIZE_MIB) as disk:
        for name in ("flushed", "forgotten"):
            with (disk.at / name).open("wb") as file:
                file.write(b"acknowledged")
                if name == "flushed":
                    file.flush()
                    os.fsync(file.fileno())
        disk.cut(folder / "copy")
        with images.mounted(folder / "copy", folder / "recovered") as at:
            assert (at / "flushed").read_bytes() == b"acknowledged"
            assert not (at / "forgotten").exists() or not (at / "forgotten").read_bytes()


def test_a_copy_is_of_one_instant(folder: Path) -> None:
    """A writer counts at two ends of a file in turn: in no copy is the second ahead of the first, or two behind."""
    stop, counted = threading.Event(), [0]
    with images.disk(folder, SIZE_MIB) as disk:
        file = os.open(disk.at / "counters", os.O_RDWR | os.O_CREAT | os.O_DSYNC)

        def count() -> None:
            while not stop.is_set():
                counted[0] += 1
                for place in (0, FAR):
                    os.pwrite(file, counted[0].to_bytes(8), place)

        counting = threading.Thread(target=count)
        counting.start()
        try:
            seen = [_counters(disk, folder) for _ in range(CUTS)]
        finally:
            stop.set()
            counting.join()
            os.close(file)
    assert all(0 <= first - second <= 1 for first, second in seen), seen
    assert seen[-1][0] > seen[0][0] > 0, "nothing was counted meanwhile"


def _counters(disk: images.Disk, folder: Path) -> tuple[int, int]:
    until = _read(disk.at / "counters")[0] + WARM
    while _read(disk.at / "counters")[1] < until:
        pass
    disk.cut(folder / "copy")
    with images.mounted(folder / "copy", folder / "recovered") as at:
        return _read(at / "counters")


def _read(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        first = file.read(8)
        file.seek(FAR)
        return int.from_bytes(first), int.from_bytes(file.read(8))


def test_nothing_is_left_of_a_workplace(folder: Path) -> None:
    with images.workplace() as other, images.disk(other, SIZE_MIB):
        pass
    assert not other.exists()
    assert str(other) not in Path("/proc/mounts").read_text()


@pytest.mark.kafka
async def test_files_show_what_is_committed_and_nothing_past_a_flipped_bit(kafka: LocalKafka) -> None:
    topic = f"cut-{uuid4().hex[:8]}"
    await asyncio.to_thread(declare, kafka.bootstrap, [TopicSpec(name=topic, partitions=1)])
    writer = Protocol2Writer(kafka.bootstrap, topic, 0)
    await writer.take_over()
    data = kafka.folder / "data"
    for number, value in enumerate((b"first", b"second"), 1):
        await writer.append([Outgoing(b"k", value)])
        async with asyncio.timeout(20):
            while len(segments.records(data, topic)) < number:  # Its marker follows a moment later.
                await asyncio.sleep(0.05)
    await writer.send([Outgoing(b"k", b"undecided")])
    assert sorted(segments.records(data, topic).values()) == [b"first", b"second"]
    await writer.close()
    assert sorted(segments.records(_flipped(data, topic, b"second"), topic).values()) == [b"first"]


def _flipped(data: Path, topic: str, where: bytes) -> Path:
    """A copy of the partition with one bit otherwise."""
    copy = data.parent / f"{topic}-copy"
    (copy / f"{topic}-0").mkdir(parents=True)
    (log,) = (data / f"{topic}-0").glob("*.log")
    raw = bytearray(log.read_bytes())
    raw[raw.index(where)] ^= 1
    (copy / f"{topic}-0" / log.name).write_bytes(raw)
    return copy


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_broker_that_does_not_flush_loses_what_it_acknowledged(folder: Path) -> None:
    line = batch("broker", 2, 7, is_flushed=False)
    assert line.failed == {ROW: 2}
    assert line.arm == "control:flush"


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_broker_keeps_what_it_acknowledged_and_serves_again(folder: Path) -> None:
    line = batch("broker", 2, 7, is_flushed=True)
    assert not line.findings
    assert line.trials == {ROW: 2}
    assert line.operations["acknowledged"] > 0


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_database_that_does_not_flush_loses_what_it_committed(folder: Path) -> None:
    assert batch("database", 2, 7, is_flushed=False).failed == {ROW: 2}


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_database_keeps_what_it_committed_and_its_projector_goes_on(folder: Path) -> None:
    line = batch("database", 2, 7, is_flushed=True)
    assert not line.findings
    assert line.trials == {ROW: 2}
