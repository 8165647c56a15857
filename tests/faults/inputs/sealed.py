"""A tape of real decisions, signed five times as the audit does; copies of it to be spoilt; who must notice.

The tape is in memory, everything that was signed about it is in files as the process left them. What the tools say is
kept with the place that they name, so that a trial can ask whether the place is the right one.
"""

import contextlib
import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

import contexts
from domain.audit import bundle, note
from domain.audit.checkpoint import Checkpoint, TreeName
from domain.audit.note import Verifier
from domain.executions.messages import VenueMessage
from domain.kernel.ids import AccountId, Micros
from gateways.audit import cli, exports, verify
from gateways.audit.evidence import Evidence
from infra import audit_key
from infra.audit_files import AuditFiles, AuditWriter
from infra.avro.codec import Codec
from infra.kafka import chain
from infra.kafka.records import Arrived, Partition
from projections.audit.forest import EVENTS, Forest
from tests.faults.checker import audit as checker
from tests.faults.checker import tape as checker_tape
from tests.faults.checker.evidence import Folder, Record
from tests.faults.checker.judge import schemas_of
from tests.faults.checker.verdict import Findings
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.audit.tape import Tape as MemoryTape

FEED = "executions.messages"
CHOICES = 1_400
"""Enough that the fullest partition fills a tile of 256 hashes and begins a tile above it."""
MESSAGES = 300
SIGNED_AT = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Parts of the tape under each checkpoint."""
KEPT = (1, 4)
"""Numbers of the checkpoints that an auditor took home."""
EXPORTED = 40
"""Records in the exported range."""

Logs = dict[Partition, list[Arrived]]
replace = msgspec.structs.replace


class Said(msgspec.Struct, frozen=True):
    """What a tool said, and the place that it named: leaves of a tree, or only words."""

    tool: str
    words: str
    tree: TreeName | None = None
    first: int = 0
    before: int = 0

    def names(self, tree: TreeName, index: int) -> bool:
        """Whether this leaf lies within the named place."""
        return self.tree == tree and self.first <= index < max(self.before, self.first + 1)


class Case:
    """One copy, to be spoilt."""

    def __init__(self, original: "Sealed", folder: Path) -> None:
        self.original = original
        self.codec = original.codec
        self.logs: Logs = {place: list(log) for place, log in original.logs.items()}
        self.state_dir = folder
        self.vkey = original.vkey
        self.kept = list(original.kept)
        self.export = list(original.export)
        self.proof: dict[str, Any] = copy.deepcopy(original.proof)

    @property
    def audit(self) -> Path:
        """The folder of the audit's files."""
        return self.state_dir / "audit"

    def note_path(self, number: int) -> Path:
        """Where a checkpoint lies."""
        return self.audit / "checkpoints" / "000" / "000" / f"{number:03d}.note"

    def sign(self, time: int = 9_000_000_000_000_000) -> None:
        """Fold and sign the tape as it stands, as the audit's process does."""
        with AuditWriter(self.state_dir, audit_key.signer(self.state_dir)) as files:
            forest = Forest(files, self.logs, self.codec.decode_event)
            starts = forest.starts()
            logs = self.standing().items()
            forest.fold(each for place, log in logs for each in log if each.offset >= starts[place])
            forest.checkpoint(Micros(time))

    def standing(self) -> Logs:
        """The records where a broker would show them: at rising offsets of this partition, whatever was done."""
        return {
            place: [Arrived(*place, 2 * at, each.key, each.value, each.headers) for at, each in enumerate(log)]
            for place, log in self.logs.items()
        }

    def differences(self) -> dict[TreeName, int]:
        """The first leaf of each partition that is not as it was."""
        found = {}
        for place, log in self.logs.items():
            before = self.original.logs[place]
            pairs = enumerate(zip(log, before, strict=False))
            changed = (at for at, (new, old) in pairs if (new.key, new.value) != (old.key, old.value))
            at = next(changed, min(len(log), len(before)))
            if at < max(len(log), len(before)):
                found[TreeName(*place)] = at
        return found


class Sealed:
    """The good one."""

    def __init__(self, codec: Codec, state_dir: Path, seed: int) -> None:
        self.codec = codec
        self.state_dir = state_dir
        self.vkey = ""
        self.kept: list[str] = []
        self.export: list[str] = []
        self.proof: dict[str, Any] = {}
        whole = _logs(codec, seed)
        for number, share in enumerate(SIGNED_AT, start=1):
            self.logs: Logs = {place: log[: round(len(log) * share)] for place, log in whole.items()}
            Case(self, state_dir).sign(number * 1_000_000)
        files = AuditFiles(state_dir)
        self.vkey = audit_key.verifier(state_dir).vkey()
        notes = list(files.notes())
        self.kept = [notes[number] for number in KEPT]

    async def exported(self) -> None:
        """Make the archive: a range of the fullest partition with its proofs, and one proof alone."""
        place = max((each for each in self.logs if each[0] == "orders.events"), key=lambda each: len(self.logs[each]))
        evidence = evidence_of(Case(self, self.state_dir))
        made = exports.lines(evidence, TreeName(*place), 240, 240 + EXPORTED - 1, self.codec.decode_event)
        self.export = [line.decode().rstrip("\n") async for line in made]
        self.proof = json.loads(bundle.to_json(await evidence.proof_at(TreeName(*place), 250)))

    @contextlib.contextmanager
    def case(self, folder: Path) -> Iterator[Case]:
        """A copy that is removed in the end."""
        shutil.copytree(self.state_dir, folder)
        try:
            yield Case(self, folder)
        finally:
            shutil.rmtree(folder)


def _logs(codec: Codec, seed: int) -> Logs:
    tape = Tape(codec)
    play(tape, choices_from(seed, CHOICES))
    for number in range(MESSAGES):
        account = AccountId(ACCOUNTS[number % len(ACCOUNTS)])
        message = VenueMessage(
            source_id=f"v-{number}",
            venue="paper",
            tenant="acme",
            account_id=account,
            sequence=number,
            body=json.dumps({"type": "accepted", "order_id": f"order-{number}"}).encode(),
            received_at=Micros(number),
        )
        tape.observe(FEED, message, tape.partition_of(account))
    topics = [*{arrived.topic for arrived in tape.arrived}]
    logs: Logs = {(topic, number): [] for topic in sorted(topics) for number in range(tape.partitions)}
    for arrived in tape.arrived:
        logs[arrived.topic, arrived.partition].append(arrived)
    return logs


def evidence_of(case: Case) -> Evidence:
    """What the audit's command line asks, over this tape."""
    tape = MemoryTape()
    tape.logs = case.standing()
    return Evidence(AuditFiles(case.state_dir), Verifier.parse(case.vkey), lambda: tape)


async def whole_tape(case: Case) -> list[Said]:
    """`tapeline audit verify --tape`, with the checkpoints that were kept elsewhere."""
    try:
        kept = [Checkpoint.parse(note.verified(text, Verifier.parse(case.vkey))) for text in case.kept]
        _, findings = await evidence_of(case).check(sorted({topic for topic, _ in case.logs}), kept)
    except cli.EXPECTED as error:
        return [Said("verify --tape", str(error))]
    return [Said("verify --tape", str(each), each.tree, each.index, each.before) for each in findings]


async def chains(case: Case) -> list[Said]:
    """What every reader of a partition checks: numbers, hashes, terms."""
    found = []
    for place, log in case.logs.items():
        if not place[0].endswith(EVENTS):
            continue
        link = chain.Link()
        for index, arrived in enumerate(log):
            try:
                link = chain.follow(link, case.codec.decode_event(arrived.value), arrived.value, place=arrived)
            except (chain.ChainBroken, ValueError) as error:
                # An edit shows in the next record, whose `previous` no longer fits.
                found.append(Said("readers' chain", str(error), TreeName(*place), max(0, index - 1), index + 1))
                break
    return found


async def lone_verifier(case: Case) -> list[Said]:
    """The one file that needs nothing of ours, on the archive: the range and the proof."""
    found = []
    for text, tool in (("\n".join(case.export), "verifier: range"), (json.dumps(case.proof), "verifier: proof")):
        try:
            verify.verify_file(text, case.vkey)
        except verify.Failed as failure:
            found.append(Said(tool, str(failure)))
    return found


async def archive(case: Case) -> list[Said]:
    """The range once more where the contracts are known: events in words too."""
    try:
        text = "\n".join(case.export)
        verify.verify_export(text, case.vkey)
        exports.check_words(text, case.codec.decode_event)
    except verify.Failed as failure:
        return [Said("export check", str(failure))]
    return []


async def independent(case: Case) -> list[Said]:
    """The checker that imports nothing of the product, on tape, checkpoints and archive."""
    root, findings = case.state_dir / "evidence", Findings()
    _write_evidence(case, root)
    folder = Folder(root)
    checker_tape.read(folder, schemas_of(root), findings)
    checker.judge(folder, findings)
    found = []
    for each in findings.verdict({}).findings:
        named = each.topic is not None and each.partition is not None
        tree = TreeName(str(each.topic), int(each.partition or 0)) if named else None
        found.append(Said("checker", f"{each.what}: {each.says}", tree, 0, (each.sequence or 0) + 1))
    return found


def _write_evidence(case: Case, root: Path) -> None:
    shutil.copytree(case.audit / "checkpoints", root / "audit" / "checkpoints")
    (root / "audit" / "kept").mkdir()
    (root / "audit" / "vkey").write_text(case.vkey)
    for number, text in enumerate(case.kept):
        (root / "audit" / "kept" / f"{number}.note").write_text(text)
    (root / "audit" / "export.ndjson").write_text("\n".join(case.export) + "\n")
    (root / "run.json").write_text('{"format": 1, "is_quiet": false}')
    ends = []
    for (topic, number), log in case.logs.items():
        (root / "topics" / topic).mkdir(parents=True, exist_ok=True)
        rows = [Record(offset * 2, 0, each.key, each.value) for offset, each in enumerate(log)]
        for level in ("committed", "uncommitted"):
            path = root / "topics" / topic / f"{number}.{level}.ndjson"
            path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        ends.append({"topic": topic, "partition": number, "begin": 0, "stable": 2 * len(log), "high": 2 * len(log)})
    (root / "topics" / "ends.ndjson").write_bytes(b"".join(msgspec.json.encode(end) + b"\n" for end in ends))


def project_codec() -> Codec:
    """The codec of the whole project."""
    return Codec(contexts.messages())


Tool = Callable[[Case], Any]
TOOLS: tuple[Tool, ...] = (whole_tape, chains, lone_verifier, archive, independent)
