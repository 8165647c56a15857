"""Folding by batches: the cut of the batches never shows, and each row is written once a batch with its place."""

from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import contexts
from infra.avro.codec import Codec
from projections import read_model
from projections.orders.blotter import blotter
from projections.read_model import Appended
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, WHATS, play
from tests.kit.tape import Tape
from tests.projections.folding import table_of
from tests.projections.hosting import MODELS, folded, on_the_tape

CHOICES = st.lists(st.tuples(st.sampled_from(WHATS), st.integers(0, 2), st.integers(1, 997)), max_size=40)


@cache
def shared_codec() -> Codec:
    """Hypothesis runs a law many times; the schemas are read once."""
    return Codec(contexts.messages())


@settings(max_examples=40, deadline=None)
@given(CHOICES, st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_every_read_model_is_the_same_however_the_tape_is_cut(
    choices: list[tuple[str, int, int]], sizes: list[int]
) -> None:
    tape = Tape(shared_codec())
    play(tape, choices)
    for model in MODELS:
        records = on_the_tape(tape, model)
        rows: dict[str, dict[Any, Any]] = {table.name: {} for table in model.tables}
        start = 0
        for number in range(len(records)):
            batch = records[start : start + sizes[number % len(sizes)]]
            start += len(batch)
            for table in model.tables:
                if isinstance(table, Appended):
                    rows[table.name] |= {row: row for row in read_model.append_batch(table, batch)}
                    continue
                touched = read_model.touches(table, batch)
                known = {key: rows[table.name][key] for key, _, _ in touched if key in rows[table.name]}
                rows[table.name] |= read_model.fold_touches(table, known, touched)
        assert {name: set(found.values()) for name, found in rows.items()} == folded(tape, model)


def test_a_row_that_changed_twice_in_a_batch_is_written_once_with_its_last_place() -> None:
    tape = Tape(shared_codec())
    play(tape, [("deposit", 0, 1)])
    tape.decide("orders", ACCOUNTS[0], o.place("walnut", quantity=10))
    tape.decide("orders", ACCOUNTS[0], o.record_acceptance("walnut"))
    records = on_the_tape(tape, blotter)
    (row,) = read_model.fold_batch(table_of(blotter, "order_blotter"), {}, records).values()
    assert (row.topic, row.partition, row.sequence) == (
        "orders.events",
        tape.partition_of(ACCOUNTS[0]),
        records[-1].sequence,
    )


def test_an_event_that_changes_nothing_leaves_the_row_with_the_place_it_had() -> None:
    tape = Tape(shared_codec())
    play(tape, [("deposit", 0, 1)])
    tape.decide("orders", ACCOUNTS[0], o.place("walnut", quantity=10))
    placed = on_the_tape(tape, blotter)[-1].sequence
    tape.decide("orders", ACCOUNTS[0], o.replace("walnut", quantity=20, limit=1))
    (row,) = read_model.fold_batch(table_of(blotter, "order_blotter"), {}, on_the_tape(tape, blotter)).values()
    assert row.sequence == placed
