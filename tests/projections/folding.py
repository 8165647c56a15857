"""Stories of a read model: after these events of one account, these are its rows."""

from collections.abc import Iterator
from typing import Any

from domain.kernel.ids import Micros, event_id
from domain.kernel.messages import GENESIS, Event, Recorded
from projections import read_model
from projections.read_model import Folded, OnTape, ReadModel

ACCOUNT = "account-1"
ANN = "sub:ann"
FIRST_AT = 1_700_000_000_000_000


def on_tape(events: tuple[Event, ...], topic: str = "orders.events") -> Iterator[OnTape]:
    """One account's events, numbered; an event at position n has version n + 1 and came n seconds after the first."""
    for number, event in enumerate(events):
        recorded = Recorded(
            event=event,
            event_id=event_id(topic, 0, number),
            tenant="acme",
            stream_id=ACCOUNT,
            version=number + 1,
            sequence=number,
            previous=GENESIS,
            term=1,
            command_position=number,
            command_id=f"command-{number}",
            digest=bytes(32),
            causation_id="",
            correlation_id="",
            actor=ANN,
            at=Micros(FIRST_AT + number * 1_000_000),
            recorded_at=Micros(FIRST_AT + number * 1_000_000),
        )
        yield OnTape(topic=topic, partition=0, offset=number, sequence=number, value=b"", message=recorded)


def rows_after(table: Folded[Any], *events: Event) -> list[Any]:
    """The table's rows, in the order of their keys."""
    rows = read_model.fold_batch(table, {}, on_tape(events))
    return [rows[key] for key in sorted(rows)]


def row_after(table: Folded[Any], *events: Event) -> Any:
    """The one row that there is."""
    (row,) = rows_after(table, *events)
    return row


def table_of(model: ReadModel, name: str) -> Folded[Any]:
    """A folded table by its name."""
    (table,) = [each for each in model.tables if each.name == name]
    assert isinstance(table, Folded)
    return table
