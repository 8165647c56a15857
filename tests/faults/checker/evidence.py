"""A folder of evidence -> what is in it. The formats of all files are these, and nothing else is read.

    FOLDER/
      run.json                         {"format": 1, "seed": ..., "commit": ..., "is_quiet": true}, and more
      schemas/ids.lock, published/     the contracts that the tape was written with; those of the project when absent
      histories/NAME.ndjson            what clients asked and were told: `Entry`, a file a client or many
      instants.ndjson                  when faults began and ended: `Instant`
      topics/TOPIC/N.committed.ndjson  a partition as a read_committed reader sees it: `Record`, by offset
      topics/TOPIC/N.uncommitted.ndjson
      topics/ends.ndjson               `End`: where each partition began and ended when it was dumped
      mark.ndjson                      `End`: the same of the moment when the run was healed and clients had stopped
      segments/TOPIC-N.txt             what kafka-dump-log says of the partition's files, where they could be read
      tables/TABLE.ndjson              rows of a read model, columns by name; bytes as base64, numeric as text
      read_models.ndjson               `Position`: how far each read model was, read in the transaction of the rows
      frames/NAME.ndjson               what a websocket or a partner's stream received: `Heard`
      audit/vkey                       the installation's verifier key
      audit/checkpoints/**.note        every signed note, in the order of names; audit/kept/*.note came from outside
      audit/export*.ndjson             what `tapeline audit export` wrote
      processes.ndjson                 `Process`: whether each process ran at the end

`is_quiet` says that the run was healed and had half a minute to come to rest before the evidence was taken: then both
ends of every transfer are there, and read models, streams and signatures have all that stood before the mark. Without a
mark that is everything; a market that plays on makes one needed.

Evidence is taken when clients have stopped, tables and notes before topics: then the tape holds all that they show.

**Histories.** One line is written, with O_APPEND, before a request is sent (`invoke`), one before its answer is used:

    ok     2xx: the command was decided as it was asked; `topic`, `partition`, `sequence` say where its event stands
    fail   4xx: the command was refused. With a place: a refusal stands there. Without: it was never sent
    info   anything else: time-out, lost connection, 202, 429, 5xx. It may have been done once, never twice

`op` numbers the operations of a client; all entries of an operation have the same. A repeat under the same idempotency
key is another operation with the same `command` and `attempt` one higher. `command` is the command's id (it follows
from tenant, account, route and key), empty for a read and for a request that becomes several commands. `mono_ns` is
CLOCK_MONOTONIC of the one machine that all clients run on; `wall_us` is for people. `body` is what was sent (invoke) or
what came back; of answers only reads need one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

FORMAT = 1
CHUNK_BYTES = 64 * 1024
"""Bytes of a file that are decoded at once: what comes of them fits the cache, which halves the price of a line."""

NO_MARK = 2**62

T = TypeVar("T")


class Entry(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """One line of a history; see above."""

    kind: Literal["invoke", "ok", "fail", "info"]
    mono_ns: int
    op: int
    client: str
    tenant: str
    account: str
    asked: str
    command: str = ""
    attempt: int = 1
    wall_us: int = 0
    status: int = 0
    topic: str = ""
    partition: int = -1
    sequence: int = -1
    event_id: str = ""
    reason: str = ""
    body: msgspec.Raw = msgspec.Raw(b"")


class Answer(msgspec.Struct, kw_only=True, gc=False):
    """What of an entry must be known to hold it against the tape; ten million are read in a minute."""

    kind: Literal["invoke", "ok", "fail", "info"]
    account: str
    tenant: str
    client: str
    asked: str
    op: int
    mono_ns: int
    command: str = ""
    attempt: int = 1
    status: int = 0
    topic: str = ""
    partition: int = -1
    sequence: int = -1
    reason: str = ""


class Instant(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A fault began, or everything was healed. `within_ms` is how long liveness may take after this healing."""

    what: Literal["fault", "healed"]
    mono_ns: int
    wall_us: int
    name: str = ""
    within_ms: int = 30_000


class Record(msgspec.Struct, array_like=True, gc=False):
    """One record of a topic: offset, time stamp in ms, key, value and headers, bytes in base64."""

    offset: int
    at_ms: int
    key: bytes
    value: bytes
    headers: msgspec.Raw = msgspec.Raw(b"{}")


class End(msgspec.Struct, kw_only=True):
    """Offsets of a partition at the dump: where its log began, its last stable offset, its high watermark."""

    topic: str
    partition: int
    begin: int
    stable: int
    high: int


class Position(msgspec.Struct, kw_only=True):
    """The last sequence of a partition that a read model's rows reflect; -1 is none."""

    name: str
    topic: str
    partition: int
    sequence: int


class Heard(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of a stream's client: it connected, received a frame, or was cut off.

    `cursor` of `opened` is where it resumed from; without one a websocket begins with snapshots, a partner's stream at
    the beginning of the tape, or with what happens when `begin` is `now`. `scope` names the accounts that are followed,
    `*` for all of the tenant; `topics` the contexts, none for all. `is_complete` of `closed` says that the client
    waited until the run was quiet: then nothing of its scope may be missing at the end.
    """

    what: Literal["opened", "frame", "closed"]
    mono_ns: int
    client: str
    connection: int
    door: Literal["websocket", "sse"] = "websocket"
    tenant: str = ""
    scope: list[str] = []
    topics: list[str] = []
    cursor: str = ""
    begin: Literal["beginning", "now"] = "beginning"
    frame: dict[str, Any] = {}
    is_complete: bool = False


class Process(msgspec.Struct, kw_only=True):
    """A process of the installation at the end of the run; `unhandled` are exceptions in its log that ended it."""

    name: str
    is_running: bool
    unhandled: list[str] = []


class Unreadable(ValueError):
    """A file is not in its format; the message names the file."""


class Folder:
    """The evidence of one run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.run: dict[str, Any] = msgspec.json.decode((root / "run.json").read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise Unreadable(f"{root / 'run.json'}: {error}. A folder of evidence begins with it") from error
        if self.run.get("format") != FORMAT:
            raise Unreadable(f"{root / 'run.json'}: format {self.run.get('format')!r} is not {FORMAT}")
        self._marks = {(end.topic, end.partition): end.stable for end in self.some("mark.ndjson", End)}

    @property
    def is_quiet(self) -> bool:
        """Everything had come to rest when the evidence was taken."""
        return bool(self.run.get("is_quiet"))

    def due_end(self, topic: str, partition: int) -> int:
        """What follows from records before this offset must have come to its end."""
        return self._marks.get((topic, partition), NO_MARK) if self.is_quiet else 0

    def is_due(self, topic: str, partition: int, offset: int) -> bool:
        """What follows from a record there must have come to its end."""
        return offset < self.due_end(topic, partition)

    def histories(self) -> list[Path]:
        """Files of what clients asked and were told."""
        return sorted((self.root / "histories").glob("*.ndjson"))

    def frames(self) -> list[Path]:
        """Files of what streams received."""
        return sorted((self.root / "frames").glob("*.ndjson"))

    def partitions(self, ending: str, level: str = "committed") -> Iterator[tuple[str, int, Path]]:
        """Every dumped partition of topics with this ending: topic, number, file; in order."""
        for folder in sorted((self.root / "topics").glob(f"*{ending}")):
            files = {int(path.name.partition(".")[0]): path for path in folder.glob(f"*.{level}.ndjson")}
            for number in sorted(files):
                yield folder.name, number, files[number]

    def table(self, name: str) -> Path | None:
        """The dump of a table, if it was taken."""
        path = self.root / "tables" / f"{name}.ndjson"
        return path if path.exists() else None

    def some(self, name: str, kind: type[T]) -> list[T]:
        """All lines of one file of the folder; none when it is not there."""
        path = self.root / name
        return list(lines(path, kind)) if path.exists() else []


def lines(path: Path, kind: type[T]) -> Iterator[T]:
    """The lines of a file, each decoded. Raises Unreadable."""
    for chunk in chunks(path, kind):
        yield from chunk


def chunks(path: Path, kind: type[T]) -> Iterator[list[T]]:
    """The same, many lines at a time. A last line without its end was cut off with its writer: it is dropped."""
    decoder = msgspec.json.Decoder(kind)
    rest = b""
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            whole, _, rest = (rest + data).rpartition(b"\n") if b"\n" in data else (b"", b"", rest + data)
            try:
                yield decoder.decode_lines(whole)
            except msgspec.DecodeError as error:
                raise Unreadable(f"{path}: {error}") from error
