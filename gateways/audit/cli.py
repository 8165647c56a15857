"""`tapeline audit …`: prove a record, check a proof or the whole tape, export a range, see an account as it was.

The proofs are made from the tape and the files under `<state_dir>/audit/`; Postgres is not asked.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer

from domain.audit import bundle, note
from domain.audit.bundle import Bundle
from domain.audit.check import Finding
from domain.audit.checkpoint import Checkpoint, CheckpointRefused, TreeName
from domain.audit.merkle import ProofRefused
from domain.audit.note import NoteRefused, Verifier
from domain.audit.replay import Past, Until, replay
from domain.kernel.decider import Decider
from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from gateways.audit import exports, pasts
from gateways.audit import verify as offline
from gateways.audit.evidence import Evidence, EvidenceMissing, place_of
from infra import audit_key
from infra.audit_files import AuditDamaged, AuditFiles
from infra.audit_key import KeyUnsafe
from infra.clock import instant, wall
from infra.kafka.reader import Reader, ReadFailed
from infra.settings import settings
from projections.audit.forest import EVENTS

T = TypeVar("T")
Deciders = Mapping[str, Decider[Any, Any, Any]]

EXPORT_MAX = 100_000
"""Records in one export: beyond it, several files are easier to handle."""
TAMPERED = 1
"""Exit code when the tape is not what was signed; 2 is wrong use, 3 to 7 are those of the offline verifier."""
MISSING = 3
"""Exit code when the files, the tape or the key do not give what was asked for."""

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
KeyOption = Annotated[str, typer.Option("--key", help="Verifier key, or a file that holds it; by default our own.")]
AsOf = Annotated[
    str,
    typer.Option(
        help="A time of recording such as 2026-11-23T16:00:00-05:00, or a place: topic/partition/sequence. "
        "As it is now when empty."
    ),
]
EXPECTED = (EvidenceMissing, ProofRefused, NoteRefused, CheckpointRefused, AuditDamaged, KeyUnsafe, ReadFailed, OSError)
"""Errors whose message is the answer; any other is a fault of ours and shows where."""


class Tape(msgspec.Struct, frozen=True):
    """What the commands must be told about the system: which topics are audited, how events are read and folded."""

    topics: Sequence[str]
    decode: Callable[[bytes], Recorded[Any]]
    deciders: Deciders


def app(tape: Callable[[], Tape]) -> typer.Typer:
    """The commands; `tape` is asked when one of them needs it, so that `--help` needs nothing."""
    commands = typer.Typer(name="audit", help="Proofs, checks and the past of the tape.", no_args_is_help=True)

    @commands.command("prove")
    def prove(
        what: Annotated[
            str, typer.Argument(help="The id of an order or command, or a place: topic/partition/sequence.")
        ],
        out: Annotated[Path | None, typer.Option(help="Write the proof to this file.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Write one file that proves a record to anybody who has our key."""
        made = _answer(_prove(what, tape), as_json)
        if out is None:
            sys.stdout.buffer.write(bundle.to_json(made))
            return
        out.write_bytes(bundle.to_json(made))
        place = f"{made.topic}/{made.partition}/{made.index}"
        _say(as_json, {"file": str(out), "place": place, "size": made.size}, f"{out}: proof of {place}")

    @commands.command("verify")
    def verify(
        proof: Annotated[Path | None, typer.Argument(help="A proof file, or an export.")] = None,
        key: KeyOption = "",
        whole_tape: Annotated[bool, typer.Option("--tape", help="Check the whole tape instead.")] = False,
        kept: Annotated[list[Path] | None, typer.Option(help="A checkpoint kept elsewhere; may be repeated.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Check a proof offline, or with --tape every record against everything that was ever signed."""
        if whole_tape == (proof is not None):
            _fail(as_json, 2, "give either a proof file or --tape")
        if proof is not None:
            _verify_file(proof, key, tape, as_json)
        else:
            _verify_tape(tape().topics, key, kept or [], as_json)

    @commands.command("export")
    def export(
        first: Annotated[str, typer.Argument(help="First place: topic/partition/sequence.")],
        last: Annotated[str, typer.Argument(help="Last place, in the same partition.")],
        out: Annotated[Path, typer.Option(help="Write NDJSON to this file.")],
        as_json: AsJson = False,
    ) -> None:
        """Write a range of events with their proofs, one a line, under one checkpoint in the first line."""
        count = _answer(_export(first, last, out, tape().decode), as_json)
        _say(as_json, {"file": str(out), "records": count}, f"{out}: {count} records and their checkpoint")

    @commands.command("replay")
    def show_past(
        account: Annotated[str, typer.Option(help="The account.")],
        as_of: AsOf = "",
        as_json: AsJson = False,
    ) -> None:
        """Show an account as it was, in every context: amounts as decimals, times in UTC."""
        _tell(_answer(_replay(account, as_of, tape()), as_json), as_json)

    return commands


def _evidence(verifier: Verifier | None = None) -> Evidence:
    """Proofs are our own; whoever checks a tape may bring the key that it must be signed with."""
    where = settings()
    files = AuditFiles(where.state_dir)
    return Evidence(
        files, verifier or audit_key.verifier(where.state_dir), lambda: Reader(where.kafka, name="audit-cli")
    )


async def _prove(what: str, tape: Callable[[], Tape]) -> Bundle:
    evidence = _evidence()
    place = place_of(what)
    if place is None:
        place = await evidence.find([topic for topic in tape().topics if topic.endswith(EVENTS)], what)
    tree, index = place
    return await evidence.proof_at(tree, index)


def _verify_file(path: Path, key: str, tape: Callable[[], Tape], as_json: bool) -> None:
    try:
        text, vkey = path.read_text("utf-8"), _verifier(key).vkey()
        shown = offline.verify_file(text, vkey)
        if "first" in shown:
            exports.check_words(text, tape().decode)
    except offline.Failed as failure:
        _fail(as_json, failure.code, str(failure))
    except (OSError, ValueError, KeyUnsafe) as error:
        _fail(as_json, offline.MALFORMED, str(error))
    place = f"{shown['topic']}/{shown['partition']}/{shown.get('index', shown.get('first'))}"
    until = f" to {shown['last']}" if "last" in shown else ""
    _say(as_json, {"verified": True, **shown}, f"VERIFIED {place}{until}")


def _verify_tape(topics: Sequence[str], key: str, kept: Sequence[Path], as_json: bool) -> None:
    count, findings = _answer(_check(topics, key, kept), as_json, is_check=True)
    rows = [msgspec.to_builtins(finding) for finding in findings]
    said = "\n".join(map(str, findings)) or f"VERIFIED {count} records are what was signed"
    _say(as_json, {"verified": not findings, "records": count, "findings": rows}, said)
    if findings:
        raise typer.Exit(TAMPERED)


async def _check(topics: Sequence[str], key: str, kept: Sequence[Path]) -> tuple[int, list[Finding]]:
    verifier = _verifier(key)
    outside = [Checkpoint.parse(note.verified(path.read_text("utf-8"), verifier)) for path in kept]
    return await _evidence(verifier).check(topics, outside)


async def _export(first: str, last: str, out: Path, decode: Callable[[bytes], Recorded[Any]]) -> int:
    begin, end = _place(first), _place(last)
    if begin[0] != end[0] or not 0 <= end[1] - begin[1] < EXPORT_MAX:
        raise EvidenceMissing(f"{first} to {last} must be in one partition, in order, at most {EXPORT_MAX} records")
    made = exports.lines(_evidence(), begin[0], begin[1], end[1], decode)
    with out.open("wb") as file:
        async for line in made:
            file.write(line)
    return end[1] - begin[1] + 1


def _tell(past: Mapping[str, Past], as_json: bool) -> None:
    if as_json:
        _say(as_json, {context: pasts.plain(each) for context, each in past.items()}, "")
    else:
        pasts.show(past)


async def _replay(account: str, as_of: str, tape: Tape) -> dict[str, Past]:
    evidence = _evidence()
    until = await _until(evidence, as_of, tape)
    events: dict[str, list[Recorded[Any]]] = {context: [] for context in tape.deciders}
    topics = {f"{context}{EVENTS}": context for context in tape.deciders}
    async with aclosing(evidence.tape(topics)) as records:
        async for record in records:
            if record.key == account.encode():
                events[topics[record.topic]].append(tape.decode(record.value))
    if not any(events.values()):
        raise EvidenceMissing(f"no event on the tape is of the account {account}: check its id")
    return replay(account, until, lambda context, _: events[context], tape.deciders)


async def _until(evidence: Evidence, as_of: str, tape: Tape) -> Until:
    if not as_of:
        return Until(Micros(wall()))
    place = place_of(as_of)
    if place is None:
        try:
            return Until(instant(as_of))
        except ValueError as error:
            raise EvidenceMissing(f"--as-of {as_of}: neither a time nor topic/partition/sequence; {error}") from error
    tree, index = place
    async with aclosing(evidence.records(tree, index, index + 1)) as records:
        async for _, record in records:
            recorded_at = tape.decode(record.value).recorded_at
            return Until(Micros(recorded_at), tree.topic.removesuffix(EVENTS), index)
    raise EvidenceMissing(f"{as_of} is not on the tape")


def _place(text: str) -> tuple[TreeName, int]:
    place = place_of(text)
    if place is None:
        raise EvidenceMissing(f"{text} is no place on the tape: write topic/partition/sequence")
    return place


def _verifier(key: str) -> Verifier:
    if not key:
        return audit_key.verifier(settings().state_dir)
    return Verifier.parse(key if "+" in key else Path(key).read_text("utf-8"))


def _answer(question: Awaitable[T], as_json: bool, *, is_check: bool = False) -> T:
    async def ask() -> T:
        return await question

    try:
        return asyncio.run(ask())
    except EXPECTED as error:
        _fail(as_json, MISSING, str(error), is_check=is_check)


def _say(as_json: bool, answer: object, text: str) -> None:
    typer.echo(msgspec.json.encode(answer).decode() if as_json else text)


def _fail(as_json: bool, code: int, reason: str, *, is_check: bool = True) -> NoReturn:
    """Say why there is no answer; only a check says of what it was given that it is not verified."""
    told = {"verified": False, "error": reason} if is_check else {"error": reason}
    prefix = "NOT VERIFIED" if is_check else "refused"
    typer.echo(json.dumps(told) if as_json else f"{prefix}: {reason}", err=True)
    raise typer.Exit(code)
