"""One life of the audit process over a tape in memory: it reads everything, signs once, and ends."""

from pathlib import Path

from domain.audit.checkpoint import Checkpoint
from domain.kernel.ids import Micros
from infra import audit_key
from infra.audit_files import AuditWriter
from projections.audit.forest import Forest
from tests.projections.audit.tape import Tape, decode


def read_all(state_dir: Path, tape: Tape, *, now: int = 1_000_000) -> Checkpoint | None:
    with AuditWriter(state_dir, audit_key.signer(state_dir)) as files:
        trees = Forest(files, tape.logs, decode)
        starts = trees.starts()
        trees.fold(r for place, log in tape.logs.items() for r in log if r.offset >= starts[place])
        return trees.checkpoint(Micros(now))


def filled(tape: Tape, count: int) -> Tape:
    for number in range(count):
        tape.event(f"order {number}", number % 3 % 2)
        tape.message(f"fill {number}", number % 2)
    return tape
