"""Files of a partition on a disk that lost its power -> what a broker would keep of them, and what readers would get.

Batches are taken up to the first that is cut off, whose checksum fails or whose offsets do not follow: there a broker's
own recovery cuts. A transactional batch counts by the marker that follows it.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from aiokafka.record.memory_records import MemoryRecords

LENGTH_AT, HEADER_BYTES = 8, 12
"""A batch begins with its first offset and the length of what follows."""
BATCH_BYTES_MIN = 61


def records(data: Path, topic: str) -> dict[tuple[int, int], bytes]:
    """Values by partition and offset, of every partition of the topic; aborted and undecided ones are left out."""
    found: dict[tuple[int, int], bytes] = {}
    for folder in data.glob(f"{topic}-*"):
        number = int(folder.name.removeprefix(f"{topic}-"))
        undecided: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        kept: dict[int, bytes] = {}
        due = 0
        for path in sorted(folder.glob("*.log")):
            due = _read(path.read_bytes(), due, kept, undecided)
        # Readers are shown nothing from the first undecided record on.
        stable = min((offset for each in undecided.values() for offset in each), default=due)
        found |= {(number, offset): value for offset, value in kept.items() if offset < stable}
    return found


def _read(raw: bytes, due: int, kept: dict[int, bytes], undecided: dict[int, dict[int, bytes]]) -> int:
    """Take the batches of one file; returns the offset that is due after them."""
    at = 0
    while at + BATCH_BYTES_MIN <= len(raw):
        end = at + HEADER_BYTES + int.from_bytes(raw[at + LENGTH_AT : at + HEADER_BYTES])
        if end > len(raw) or end - at < BATCH_BYTES_MIN:
            break
        batch: Any = MemoryRecords(raw[at:end]).next_batch()
        if batch is None or not batch.validate_crc() or batch.base_offset < due:
            break
        found = {record.offset: record.value for record in batch}
        if batch.is_control_batch:
            # The key of a marker is a version and a kind: 1 is a commit.
            (marker,) = [record.key for record in MemoryRecords(raw[at:end]).next_batch()]
            ended = undecided.pop(batch.producer_id, {})
            kept.update(ended if int.from_bytes(marker[2:4]) == 1 else {})
        elif batch.is_transactional:
            undecided[batch.producer_id] |= found
        else:
            kept.update(found)
        due, at = batch.next_offset, end
    return due
