"""A running installation -> a folder of evidence: topics by kafka-python, tables by plain SQL, files as they lie.

    python -m tests.faults.checker.collect FOLDER --kafka HOST:PORT --mark         # healed, and clients have stopped
    python -m tests.faults.checker.collect FOLDER --kafka HOST:PORT --postgres DSN --state-dir DIR [--quiet]
        [--kafka-data DIR --class-path JARS --java JAVA] [--seed N] [--commit ID]

What clients write, histories and frames, they write into the folder themselves. Notes and tables are taken before the
topics, so that the tape holds all that they show. Nothing of what is collected is judged.
"""

import argparse
import base64
import json
import shutil
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import kafka
import msgspec
import psycopg

from tests.faults.checker.avro import PROJECT_SCHEMAS
from tests.faults.checker.evidence import FORMAT, End

TOPICS = (".events", ".commands", ".commands.dead", "executions.messages", "reconciliation.messages")
"""Endings of the topics that are dumped."""
UNCOMMITTED = (".events",)
"""Those of the topics that are dumped a second time with what transactions left behind."""
POLL_MS = 200
SILENT_SECONDS_MAX = 30.0
"""Longest silence of a topic that has more; after it the collection fails rather than be called complete."""
SCHEMA_OF_TABLES = "public"
POSITIONS = """
SELECT g.name, p.topic, p.partition, p.sequence
FROM projections.positions AS p JOIN projections.generations AS g USING (schema) WHERE g.state = 'live'
"""
DUMP_SECONDS_MAX = 300
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"


class Incomplete(Exception):
    """Something could not be read to its end; the message names it."""


def topics(bootstrap: str, folder: Path) -> None:
    """Dump every partition that is judged. Raises Incomplete."""
    ends: list[End] = []
    for level in ("committed", "uncommitted"):
        consumer = _consumer(bootstrap, level)
        try:
            places = _places(consumer, TOPICS if level == "committed" else UNCOMMITTED)
            found = _dump(consumer, places, folder, level)
        finally:
            consumer.close()
        if level == "committed":
            begins, ends_of = found
            ends = [
                End(topic=p.topic, partition=p.partition, begin=begins[p], stable=ends_of[p], high=-1) for p in places
            ]
        else:
            _, highs = found
            for end in ends:
                end.high = highs.get(kafka.TopicPartition(end.topic, end.partition), end.stable)
    _write(folder / "topics" / "ends.ndjson", ends)


def mark(bootstrap: str, folder: Path) -> None:
    """Write down where every partition ends now: half a minute later all that stands before must be done with."""
    folder.mkdir(parents=True, exist_ok=True)
    consumer = _consumer(bootstrap, "committed")
    try:
        places = _places(consumer, TOPICS)
        ends = consumer.end_offsets(places)
    finally:
        consumer.close()
    marks = [End(topic=p.topic, partition=p.partition, begin=0, stable=ends[p], high=ends[p]) for p in places]
    _write(folder / "mark.ndjson", marks)


def _consumer(bootstrap: str, level: str) -> Any:
    return kafka.KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=f"read_{level}",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        client_id="checker",
    )


def _places(consumer: Any, endings: tuple[str, ...]) -> list[Any]:
    return [
        kafka.TopicPartition(topic, number)
        for topic in sorted(consumer.topics())
        if topic.endswith(endings)
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def _dump(consumer: Any, places: list[Any], folder: Path, level: str) -> tuple[dict[Any, int], dict[Any, int]]:
    """Read these partitions from their beginnings to where they end now."""
    consumer.assign(places)
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    consumer.seek_to_beginning(*places)
    files: dict[Any, IO[bytes]] = {}
    for place in places:
        (folder / "topics" / place.topic).mkdir(parents=True, exist_ok=True)
        files[place] = (folder / "topics" / place.topic / f"{place.partition}.{level}.ndjson").open("wb")
    heard = time.monotonic()
    try:
        while behind := [place for place in places if consumer.position(place) < ends[place]]:
            batches = consumer.poll(POLL_MS)
            for place, records in batches.items():
                kept = (_line(record) for record in records if record.offset < ends[place])
                files[place].write(b"".join(kept))
            heard = time.monotonic() if batches else heard
            if time.monotonic() - heard > SILENT_SECONDS_MAX:
                raise Incomplete(f"{behind} give no more records read_{level}: is the broker well?")
    finally:
        for file in files.values():
            file.close()
    return begins, ends


def _line(record: Any) -> bytes:
    headers = {name: value or b"" for name, value in record.headers}
    return (
        msgspec.json.encode((record.offset, record.timestamp, record.key or b"", record.value or b"", headers)) + b"\n"
    )


def tables(dsn: str, folder: Path) -> None:
    """Dump every table that the read models show, and their positions, all as of one moment."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    with psycopg.connect(dsn) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _query(connection, POSITIONS, folder / "read_models.ndjson")
        names = connection.execute(
            "SELECT table_name FROM information_schema.views WHERE table_schema = %s ORDER BY 1", (SCHEMA_OF_TABLES,)
        ).fetchall()
        for (name,) in names:
            _query(connection, f'SELECT * FROM {SCHEMA_OF_TABLES}."{name}"', folder / "tables" / f"{name}.ndjson")


def _query(connection: Any, sql: str, path: Path) -> None:
    cursor = connection.execute(sql)
    columns = [each.name for each in cursor.description]
    with path.open("wb") as file:
        for row in cursor:
            file.write(msgspec.json.encode(dict(zip(columns, map(_plain, row), strict=True))) + b"\n")


def _plain(value: Any) -> Any:
    """Numeric is exact text, bytes are base64, a moment is ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value


def audit(state_dir: Path, folder: Path) -> None:
    """Copy the verifier key and every checkpoint that was ever signed."""
    source, target = state_dir / "audit" / "checkpoints", folder / "audit" / "checkpoints"
    for note in source.rglob("*.note"):  # Once it has its name, a note never changes.
        copy = target / note.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(note, copy)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(state_dir / "keys" / "audit.vkey", folder / "audit" / "vkey")


def segments(data: Path, class_path: str, java: str, folder: Path) -> None:
    """Dump the files of every events partition with Kafka's own tool. Raises Incomplete."""
    shutil.rmtree(folder / "segments", ignore_errors=True)
    (folder / "segments").mkdir(parents=True)
    files = sorted(str(path) for path in data.glob("*.events-*/*.log"))
    whole = folder / "segments" / "all"
    argv = [java, "-cp", class_path, DUMP_LOG, "--deep-iteration", "--files", ",".join(files)]
    with whole.open("wb") as out:
        done = subprocess.run(argv, stdout=out, check=False, timeout=DUMP_SECONDS_MAX)
    if done.returncode:
        raise Incomplete(f"kafka-dump-log ended with {done.returncode}")
    with whole.open() as dumped:
        part: IO[str] | None = None
        for line in dumped:
            if line.startswith("Dumping "):
                if part is not None:
                    part.close()
                part = (folder / "segments" / f"{Path(line.split(' ', 1)[1].strip()).parent.name}.txt").open("a")
            if part is not None:
                part.write(line)
        if part is not None:
            part.close()
    whole.unlink()


def finish(folder: Path, *, is_quiet: bool, **run: Any) -> None:
    """The contracts and the sheet of the run, which makes a folder evidence."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_SCHEMAS / "ids.lock", folder / "schemas" / "ids.lock")
    shutil.copytree(PROJECT_SCHEMAS / "published", folder / "schemas" / "published", dirs_exist_ok=True)
    sheet = {"format": FORMAT, "is_quiet": is_quiet, **run}
    (folder / "run.json").write_text(json.dumps(sheet, indent=2) + "\n")


def _write(path: Path, rows: list[End]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def main() -> None:
    """Read the arguments and collect what they name."""
    parser = argparse.ArgumentParser(prog="tests.faults.checker.collect", description="Collect the evidence of a run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kafka")
    parser.add_argument("--mark", action="store_true", help="only write down where every partition ends now")
    parser.add_argument("--postgres")
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--kafka-data", type=Path, help="the broker's log folder; needs --class-path")
    parser.add_argument("--class-path", help="Kafka's jars")
    parser.add_argument("--java", default="java")
    parser.add_argument("--quiet", action="store_true", help="everything has come to rest")
    parser.add_argument("--seed", default="")
    parser.add_argument("--commit", default="")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.mark:
        mark(given.kafka, given.folder)
        return
    if given.state_dir:
        audit(given.state_dir, given.folder)
    if given.postgres:
        tables(given.postgres, given.folder)
    if given.kafka:
        topics(given.kafka, given.folder)
    if given.kafka_data:
        segments(given.kafka_data, given.class_path or "", given.java, given.folder)
    finish(given.folder, is_quiet=given.quiet, seed=given.seed, commit=given.commit)


if __name__ == "__main__":
    main()
