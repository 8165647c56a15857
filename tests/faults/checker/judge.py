"""A folder of evidence -> the verdict: every judgement once, over two passes of the tape.

The first pass reads heads alone and judges what most faults would break; the second reads every event whole, for books,
rows and what clients were told.
"""

import gc
from collections.abc import Callable
from pathlib import Path

from tests.faults.checker import answers, audit, commands, folds, frames, liveness, rows, segments, tape, tenants
from tests.faults.checker.avro import PROJECT_SCHEMAS, Schemas
from tests.faults.checker.books import Books
from tests.faults.checker.cash import ACCOUNTS, Transfers
from tests.faults.checker.causes import Causes
from tests.faults.checker.content import Content
from tests.faults.checker.evidence import Folder, Instant, Position
from tests.faults.checker.fees import Fees
from tests.faults.checker.tape import Event, Tape
from tests.faults.checker.venue import Venue
from tests.faults.checker.verdict import Findings, Verdict


def judge(root: Path) -> Verdict:
    """Everything that does not hold in this evidence. Raises Unreadable."""
    folder, findings = Folder(root), Findings()
    schemas = schemas_of(root)
    gc.disable()  # Millions of small objects that all stay: to look through them again and again takes long.
    try:
        found = tape.read(folder, schemas, findings)
        segments.judge(folder, found, findings)
        sent = commands.judge(folder, found, schemas, findings)
        refusals = answers.judge(folder, found, findings)
        told = frames.judge(folder, found, findings)
        health = liveness.Health(folder.some("instants.ndjson", Instant))
        liveness.judge(folder, health, findings)
        content = Content(found, told, refusals, findings)
        _whole(folder, schemas, found, findings, [content.take, liveness.Decisions(health, sent, findings).take])
        tenants.judge(folder, content.names, findings)
        audit.judge(folder, findings)
    finally:
        gc.enable()
    return findings.verdict(folder.run)


def schemas_of(root: Path) -> Schemas:
    """The contracts beside the evidence; those of the project when none were kept."""
    kept = root / "schemas"
    return Schemas(kept if kept.is_dir() else PROJECT_SCHEMAS)


def _whole(
    folder: Folder, schemas: Schemas, found: Tape, findings: Findings, takers: list[Callable[[Event], None]]
) -> None:
    """Every event by all who need its content; then what they make of it against what others recorded."""
    books, transfers, fees, venue = Books(findings), Transfers(folder, findings), Fees(findings), Venue(findings)
    causes = Causes(findings)
    positions = folder.some("read_models.ndjson", Position)
    tables = folds.tables() if positions else []
    for table in tables:
        table.begin(positions)
    by_topic: dict[str, list[Callable[[Event], None]]] = {
        "orders.events": [books.take, venue.take, fees.take],
        ACCOUNTS: [transfers.take],
        "billing.events": [fees.take],
    }
    for event in tape.events(folder, schemas):
        for take in (*takers, causes.take, *by_topic.get(event.topic, ())):
            take(event)
        for table in tables:
            table.take(event)
    transfers.hold_against(books, found)
    fees.judge()
    causes.judge()
    venue.judge(folder, schemas)
    if not tables:
        findings.not_judged.append("projection: no positions of read models were dumped")
    for table in tables:
        table.compare(folder, findings)
    rows.behind(folder, found, positions, findings)
    rows.tenants(folder, found, findings)
