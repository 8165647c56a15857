"""What the checker costs: `python -m tests.faults.pace COUNT` makes the evidence of COUNT commands and judges it.

Prints CPU time for an operation (a request and its answer in the history, its event on the tape), for the pass that
finds what is lost, repeated, reordered, refused and done, or out of its chain, and for every judgement together. The
evidence is written as the formats have it, a command in two lines of history and one of a topic; it is removed again.
"""

import argparse
import gc
import hashlib
import io
import itertools
import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import fastavro
import msgspec

from tests.faults.checker import answers, ids, tape
from tests.faults.checker.avro import PROJECT_SCHEMAS, Schemas
from tests.faults.checker.evidence import FORMAT, Entry, Folder, Record
from tests.faults.checker.judge import judge
from tests.faults.checker.verdict import Findings

PARTITIONS = 4
ACCOUNTS = 1_000
TOPIC = "orders.events"
MARKET = {
    "sequence": 7,
    "market_time": 1,
    "session_date": "2012-03-05",
    "observed_at": 1,
    "phase": "OPEN",
    "price": 10_000_000_000,
}
ORDER = {
    "symbol": "AAPL",
    "side": "BUY",
    "kind": "LIMIT",
    "quantity": 100_000_000,
    "limit_price": 10_000_000_000,
    "time_in_force": "DAY",
    "reserved": 10_000,
    "market": MARKET,
}
CASH = 10**15


class Writer:
    """One topic of four partitions, chained, and one history."""

    def __init__(self, folder: Path) -> None:
        self._schemas = _newest()
        self._sequences = [0] * PARTITIONS
        self._previous = [bytes(32)] * PARTITIONS
        self._versions: defaultdict[str, int] = defaultdict(int)
        (folder / "topics" / TOPIC).mkdir(parents=True)
        (folder / "histories").mkdir()
        (folder / "run.json").write_text(json.dumps({"format": FORMAT, "is_quiet": False}))
        self._topic: list[IO[bytes]] = [
            (folder / "topics" / TOPIC / f"{number}.committed.ndjson").open("wb") for number in range(PARTITIONS)
        ]
        self._history = (folder / "histories" / "clients.ndjson").open("wb")

    def close(self) -> None:
        """Everything is written."""
        for file in (*self._topic, self._history):
            file.close()

    def event(self, name: str, number: int, stream: str, command: str, /, **says: Any) -> int:
        """Append one event; returns its sequence."""
        sequence, at = self._sequences[number], 1_700_000_000_000_000 + self._sequences[number]
        self._versions[stream] += 1
        meta = {
            "event_id": ids.event_id(TOPIC, number, sequence),
            "tenant": "acme",
            "stream_id": stream,
            "version": self._versions[stream],
            "sequence": sequence,
            "previous": self._previous[number],
            "term": 1,
            "command_position": sequence - 1,
            "command_id": command,
            "digest": bytes(32),
            **dict.fromkeys(("causation_id", "correlation_id"), command),
            "actor": "sub:ann",
            **dict.fromkeys(("at", "recorded_at"), at),
        }
        frame, schema = self._schemas[name]
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, {"meta": meta, **says})
        value = out.getvalue()
        record = Record(2 * sequence, at // 1_000, stream.encode(), value)
        self._topic[number].write(msgspec.json.encode(record) + b"\n")
        self._sequences[number], self._previous[number] = sequence + 1, hashlib.sha256(value).digest()
        return sequence

    def answered(self, op: int, number: int, sequence: int, account: str, command: str) -> None:
        """A request and its answer."""
        asked = Entry(
            kind="invoke",
            mono_ns=op * 1_000,
            wall_us=op,
            op=op,
            client="customers",
            tenant="acme",
            account=account,
            asked="POST /v1/accounts/{account_id}/orders",
            command=command,
            body=msgspec.Raw(b'{"symbol":"AAPL","side":"BUY","kind":"LIMIT","quantity":"1","limit_price":"100.00"}'),
        )
        told = msgspec.structs.replace(
            asked,
            kind="ok",
            mono_ns=op * 1_000 + 500,
            status=201,
            topic=TOPIC,
            partition=number,
            sequence=sequence,
            event_id=ids.event_id(TOPIC, number, sequence),
            body=msgspec.Raw(b"null"),
        )
        self._history.write(msgspec.json.encode(asked) + b"\n" + msgspec.json.encode(told) + b"\n")


def _newest() -> dict[str, tuple[bytes, Any]]:
    """The newest schema of every event of `orders`, with its frame."""
    found = {}
    for line in (PROJECT_SCHEMAS / "ids.lock").read_text().splitlines():
        entry = json.loads(line)
        if entry["name"].startswith(("tapeline.orders.", "tapeline.kernel.")):
            text = json.loads((PROJECT_SCHEMAS / "published" / f"{entry['id']}.avsc").read_text())
            frame = b"\0" + entry["id"].to_bytes(4)
            found[entry["name"].rpartition(".")[2]] = (frame, fastavro.parse_schema(text))
    return found


def write(folder: Path, count: int) -> None:
    """The evidence of so many orders, all of them placed as asked."""
    writer = Writer(folder)
    for number in range(PARTITIONS):
        writer.event("OwnershipTaken", number, f"owner/{number}", f"term-{number}", partition=number, owner="x")
    names = [ids.derived("account", number) for number in range(ACCOUNTS)]
    for at, name in enumerate(names):
        writer.event("TradingOpened", at % PARTITIONS, name, f"open-{at}", currency="USD")
        writer.event("TradingApproved", at % PARTITIONS, name, f"approve-{at}", check_id="check")
        credit = {"deposit_id": f"d-{at}", "amount": CASH, "cash": CASH}
        writer.event("CashCredited", at % PARTITIONS, name, f"credit-{at}", **credit)
    for op, at in zip(range(count), itertools.cycle(range(ACCOUNTS)), strict=False):
        command, number = ids.derived("command", op), at % PARTITIONS
        sequence = writer.event("OrderPlaced", number, names[at], command, order_id=command, **ORDER)
        writer.answered(op, number, sequence, names[at], command)
    writer.close()


def _us(count: int, work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Make the evidence, judge it twice, say what it took."""
    parser = argparse.ArgumentParser(prog="tests.faults.pace")
    parser.add_argument("count", type=int)
    parser.add_argument("--first-pass-only", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tapeline-pace-") as scratch:
        root = Path(scratch)
        write(root, given.count)
        findings = Findings()

        def first_pass() -> None:
            gc.disable()
            folder, schemas = Folder(root), Schemas()
            answers.judge(folder, tape.read(folder, schemas, findings), findings)
            gc.enable()

        pace = _us(given.count, first_pass)
        said = {"operations": given.count, "first_pass_us": round(pace, 2), "ten_millions_s": round(pace * 10)}
        if not given.first_pass_only:
            whole = _us(given.count, lambda: judge(root))
            said |= {"every_judgement_us": round(whole, 2)}
        said |= {"found": sum(findings.verdict({}).found.values())}
        said |= {"memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
        sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
