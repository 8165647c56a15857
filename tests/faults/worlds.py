"""Evidence of a run that never was: a tape by the product's own deciders, rows by its own folds, a client, a partner.

The checker has neither: what it finds in a good world is a fault of one of the two, and what it misses in a world that
was spoilt is a fault of its own.
"""

import base64
import copy
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.accounts.commands import OpenAccount
from domain.audit import note
from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import Frontier, record_hash
from domain.audit.note import Signer
from domain.billing.commands import AccrueCommission, Fill, IssueCreditNote, IssueInvoice, PublishPriceList
from domain.billing.rates import PriceRow, Rates
from domain.executions.messages import VenueMessage
from domain.kernel.ids import AccountId, Micros, event_id
from domain.kernel.messages import OwnershipTaken
from domain.kernel.money import BasisPoints, Money, Price, price_text, quantity_text
from domain.orders.events import OrderFilled
from gateways import cursor
from gateways.frames import event_frame
from infra.avro.codec import Codec
from infra.kafka.records import Arrived
from projections.accounts.account_list import account_list
from projections.accounts.ledger import ledger
from projections.orders.blotter import blotter
from projections.orders.journal import journal
from projections.orders.positions import positions
from tests.faults.checker.evidence import End, Entry, Heard, Position, Record
from tests.kit.histories import Choice, choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import folded

MODELS = (blotter, positions, journal, ledger, account_list)
MICROS_PER_MS = 1_000
STEP_NS = 1_000_000
CHOICES = 120
STRANGER = "account-of-another"
"""The account of the second tenant."""


class World:
    """The evidence of one run in memory; spoil it, then write it."""

    def __init__(self, codec: Codec, choices: list[Choice] | None = None) -> None:
        self.codec = codec
        self.tape = Tape(codec)
        play(self.tape, choices_from(7, CHOICES) if choices is None else choices)
        _charge(self.tape)
        _open_another_tenant(self.tape)
        self.is_quiet = True
        self.committed: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        for arrived in self.tape.arrived:
            self._stand(arrived)
        self._say_what_the_venue_said()
        self.uncommitted = {place: list(records) for place, records in self.committed.items() if _is_events(place)}
        self.commands = self._commands()
        self.history = list(self._answered())
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.positions: list[Position] = []
        self.reflect(len(self.tape.arrived))
        self.frames = list(self._frames())
        self.instants: list[dict[str, Any]] = []
        self.signer = Signer("tests.example/tape", Ed25519PrivateKey.generate())
        self.notes = [self._signed(0.5, 1), self._signed(1.0, 2)]

    def write(self, folder: Path) -> Path:
        """The folder, as `collect` would have left it."""
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("histories", "tables", "frames", "audit/checkpoints"):
            (folder / name).mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"format": 1, "is_quiet": self.is_quiet}))
        for level, dumps in (("committed", self.committed | self.commands), ("uncommitted", self.uncommitted)):
            for (topic, number), records in dumps.items():
                (folder / "topics" / topic).mkdir(parents=True, exist_ok=True)
                _write(folder / "topics" / topic / f"{number}.{level}.ndjson", records)
        _write(folder / "topics" / "ends.ndjson", list(self._ends()))
        _write(folder / "histories" / "clients.ndjson", self.history)
        for name, rows in self.rows.items():
            _write(folder / "tables" / f"{name}.ndjson", rows)
        _write(folder / "read_models.ndjson", self.positions)
        _write(folder / "frames" / "streams.ndjson", self.frames)
        _write(folder / "instants.ndjson", self.instants)
        (folder / "audit" / "vkey").write_text(self.signer.verifier.vkey())
        for number, text in enumerate(self.notes):
            (folder / "audit" / "checkpoints" / f"{number}.note").write_text(text)
        return folder

    def reflect(self, count: int) -> None:
        """The read models have come so far: rows and positions after so many records."""
        early = copy.copy(self.tape)
        early.arrived = self.tape.arrived[:count]
        self.rows = {name: [*map(_row, rows)] for model in MODELS for name, rows in folded(early, model).items()}
        reached = Counter((each.topic, each.partition) for each in early.arrived)
        self.positions = [
            Position(name=model.name, topic=topic, partition=number, sequence=reached[topic, number] - 1)
            for model in MODELS
            for topic, number in model.places(self.tape.partitions)
        ]

    def events(self, kind: str, topic: str = "orders.events") -> Iterator[tuple[tuple[str, int], int, Any]]:
        """Every event of a kind: partition, index, decoded."""
        for place, records in sorted(self.committed.items()):
            if place[0] == topic:
                for index, record in enumerate(records):
                    recorded = self.codec.decode_event(record.value)
                    if type(recorded.event).__name__ == kind:
                        yield place, index, recorded

    def rewrite(self, place: tuple[str, int], index: int, change: Callable[[Any], Any]) -> None:
        """Another event in the place of one, and every hash behind it made to fit: a lie that no chain shows."""
        records = self.committed[place]
        recorded = change(self.codec.decode_event(records[index].value))
        records[index].value = self.codec.encode_event(recorded)
        self.rechain(place, index)

    def cut(self, place: tuple[str, int]) -> None:
        """Take the end of a partition away, from its last fact on; read_uncommitted still shows it."""
        while "Refused" in type(self.codec.decode_event(self.committed[place].pop().value).event).__name__:
            pass

    def rechain(self, place: tuple[str, int], index: int = 0) -> None:
        """Hashes, sequences and ids that fit again, from here on."""
        records = self.committed[place]
        for at in range(max(index, 0), len(records)):
            before = hashlib.sha256(records[at - 1].value).digest() if at else bytes(32)
            recorded = self.codec.decode_event(records[at].value)
            recorded = msgspec.structs.replace(recorded, previous=before, sequence=at, event_id=event_id(*place, at))
            records[at].value = self.codec.encode_event(recorded)
        self.uncommitted[place] = list(records)
        self.notes = [self._signed(1.0, 1)]
        self.frames = list(self._frames())

    def _stand(self, arrived: Arrived) -> None:
        recorded = self.codec.decode_event(arrived.value)
        headers = {"command-id": recorded.command_id.encode(), "digest": recorded.digest}
        raw = msgspec.Raw(msgspec.json.encode(headers))
        record = Record(arrived.offset, recorded.recorded_at // MICROS_PER_MS, arrived.key, arrived.value, raw)
        self.committed[arrived.topic, arrived.partition].append(record)

    def _say_what_the_venue_said(self) -> None:
        for place, _, recorded in list(self.events("OrderFilled")):
            event: OrderFilled = recorded.event
            body = {
                "type": "filled",
                "execution_id": event.execution_id,
                "symbol": event.symbol,
                "side": event.side.value,
                "quantity": quantity_text(event.quantity),
                "price": price_text(event.price),
            }
            message = VenueMessage(
                source_id=f"v-{event.execution_id}-{recorded.stream_id}",
                venue="paper",
                tenant=recorded.tenant,
                account_id=AccountId(recorded.stream_id),
                sequence=0,
                body=json.dumps(body).encode(),
                received_at=Micros(recorded.at),
            )
            feed = self.committed["executions.messages", place[1]]
            value = self.codec.encode_observed(message)
            feed.append(Record(2 * len(feed), recorded.at // MICROS_PER_MS, recorded.stream_id.encode(), value))

    def _commands(self) -> dict[tuple[str, int], list[Record]]:
        """Commands where their events say that they stand; the body is cut, nobody reads it."""
        found: dict[tuple[str, int], list[Record]] = {}
        for (topic, number), records in self.committed.items():
            if not _is_events((topic, number)):
                continue
            commands = found.setdefault((topic.replace(".events", ".commands"), number), [])
            for record in records:
                recorded = self.codec.decode_event(record.value)
                if not isinstance(recorded.event, OwnershipTaken):
                    texts = (recorded.command_id, recorded.tenant, recorded.stream_id)
                    head = b"".join(_text(each) for each in texts)
                    at_ms = recorded.at // MICROS_PER_MS
                    commands.append(Record(recorded.command_position, at_ms, record.key, b"\0\0\0\0\2" + head))
        return found

    def _answered(self) -> Iterator[Entry]:
        """A client that asks for one thing after the other, and is told what became of it."""
        at_ns = 0
        for op, arrived in enumerate(self.tape.arrived):
            recorded = self.codec.decode_event(arrived.value)
            if isinstance(recorded.event, OwnershipTaken):
                continue
            asked = Entry(
                kind="invoke",
                mono_ns=(at_ns := at_ns + STEP_NS),
                op=op,
                client="c",
                tenant=recorded.tenant,
                account=recorded.stream_id,
                asked="POST /v1",
                command=recorded.command_id,
            )
            yield asked
            is_refused = type(recorded.event).__name__.endswith("Refused")
            yield msgspec.structs.replace(
                asked,
                kind="fail" if is_refused and hasattr(recorded.event, "reason") else "ok",
                mono_ns=(at_ns := at_ns + STEP_NS),
                status=409 if is_refused else 201,
                topic=arrived.topic,
                partition=arrived.partition,
                sequence=recorded.sequence,
                reason=str(getattr(recorded.event, "reason", "")) if is_refused else "",
            )

    def _frames(self) -> Iterator[Heard]:
        """A partner that hears everything from the beginning, over two connections."""
        said = [(place, record) for place, records in self.committed.items() if _is_events(place) for record in records]
        reached: dict[tuple[str, int], int] = {place: -1 for place in self.committed if _is_events(place)}
        first = Heard(what="opened", mono_ns=0, client="p", connection=1, door="sse", tenant="acme", scope=["*"])
        yield first
        connection = 1
        for count, (place, record) in enumerate(said):
            if count == len(said) // 2:
                token = cursor.encode(reached, b"12345678")
                connection = 2
                yield msgspec.structs.replace(first, connection=connection, cursor=token)
            recorded = self.codec.decode_event(record.value)
            reached[place] = recorded.sequence
            if recorded.tenant != "acme":
                continue
            frame = json.loads(msgspec.json.encode(event_frame(place, recorded, cursor.encode(reached, b"12345678"))))
            yield Heard(what="frame", mono_ns=count, client="p", connection=connection, frame=frame)
        yield Heard(what="closed", mono_ns=len(said), client="p", connection=connection, is_complete=True)

    def _signed(self, share: float, minute: int) -> str:
        trees = {}
        for (topic, number), records in self.committed.items():
            leaves = [record_hash(each.key, each.value) for each in records[: int(len(records) * share)]]
            trees[TreeName(topic, number)] = TreeHead(len(leaves), Frontier().append(leaves).root())
        checkpoint = Checkpoint("tests.example/tape", Micros(minute * 60_000_000), trees)
        return note.sign(checkpoint.text(), self.signer)

    def _ends(self) -> Iterator[End]:
        for place, records in self.committed.items():
            after = max((each.offset + 2 for each in (*records, *self.uncommitted.get(place, ()))), default=0)
            yield End(topic=place[0], partition=place[1], begin=0, stable=after, high=after)


def _charge(tape: Tape) -> None:
    """A price list, every fill by it, an invoice of all, a cheaper list, and the notes that follow from it."""
    dear, cheap = (
        PriceRow(
            begins_on="2012-01-01",
            ends_on=None,
            rates=Rates(per_share=Price(rate), basis_points=BasisPoints(10**8), minimum=Money(1), maximum=None),
        )
        for rate in (1_000_000, 500_000)
    )
    fills = [recorded for recorded in tape.recorded("orders") if isinstance(recorded.event, OrderFilled)]
    lists = "prices/acme"
    tape.decide("billing", lists, PublishPriceList(actor="sub:desk", rows=(dear,), reason="first"))
    for recorded in fills:
        event: OrderFilled = recorded.event
        fill = Fill(
            event_id=recorded.event_id,
            sequence=recorded.sequence,
            order_id=event.order_id,
            execution_id=event.execution_id,
            symbol=event.symbol,
            session_date="2012-03-05",
            quantity=event.quantity,
            price=event.price,
        )
        accrue = AccrueCommission(actor="agent:test", fill=fill, list_version=1, rates=dear.rates)
        tape.decide("billing", recorded.stream_id, accrue)
    for account_id in sorted({recorded.stream_id for recorded in fills}):
        invoice_id = f"invoice-{account_id}"
        tape.decide("billing", account_id, IssueInvoice(actor="agent:test", invoice_id=invoice_id, month="2012-03"))
    tape.decide("billing", lists, PublishPriceList(actor="sub:desk", rows=(cheap,), reason="cheaper"))
    for account_id in sorted({recorded.stream_id for recorded in fills}):
        note_of = IssueCreditNote(
            actor="agent:test",
            credit_note_id=f"note-{account_id}",
            invoice_id=f"invoice-{account_id}",
            list_version=2,
            rows=(cheap,),
        )
        tape.decide("billing", account_id, note_of)


def _open_another_tenant(tape: Tape) -> None:
    for command in (OpenAccount(actor="sub:bob", owner="bob", currency="USD"),):
        tape.decide("accounts", STRANGER, command, tenant="other")


def _is_events(place: tuple[str, int]) -> bool:
    return place[0].endswith(".events")


def _text(text: str) -> bytes:
    """A short text as Avro writes it."""
    raw = text.encode()
    assert len(raw) < 64
    return bytes([2 * len(raw)]) + raw


def _row(row: Any) -> dict[str, Any]:
    """A row as `collect` writes it."""
    plain = {name: getattr(row, name) for name in row.__struct_fields__}
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, str) else value


def _write(path: Path, rows: list[Any]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
