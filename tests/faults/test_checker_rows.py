"""The checker folds the tape itself: a row that differs from it in one column is named, and one of another tenant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.avro.codec import Codec
from tests.faults.checker.judge import judge
from tests.faults.worlds import STRANGER, World

TABLES = (
    "order_blotter",
    "positions",
    "journal",
    "ledger_lines",
    "ledger_balances",
    "ledger_holdings",
    "accounts",
    "withdrawals",
)
FED_BY_TWO = ("ledger_balances", "ledger_holdings")
"""Their stamp depends on which topic was read last."""


def said(world: World, tmp_path: Path) -> list[str]:
    return [f"{each.what}: {each.says}" for each in judge(world.write(tmp_path / "run")).findings]


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "something"
        case _:
            return f"{value}1"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.sampled_from(TABLES), row=st.integers(0, 10_000), column=st.integers(0, 10_000))
def test_a_row_that_was_changed_in_any_column_is_named(
    table: str, row: int, column: int, codec: Codec, tmp_path: Path
) -> None:
    world = World(codec)
    changed = world.rows[table][row % len(world.rows[table])]
    stamp = {"topic", "partition", "sequence"} if table in FED_BY_TWO else set()
    names = sorted(changed.keys() - stamp)
    name = names[column % len(names)]
    changed[name] = other(changed[name])
    assert [each for each in said(world, tmp_path) if each.startswith(f"projection: {table}")], (name, changed)


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_missing_and_one_that_nobody_made_are_named(table: str, codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    dropped = world.rows[table].pop()
    key = {"account_id": "invented", "stream_id": "invented", "sequence": 10_000}
    world.rows[table].append(dropped | {name: key[name] for name in key if name in dropped})
    found = said(world, tmp_path)
    assert any(each.startswith(f"projection: {table}: row") and each.endswith("is missing") for each in found), found
    assert f"projection: {table}: the tape makes no such row" in found


def behind(world: World) -> None:
    for position in world.positions:
        if position.name == "blotter" and position.sequence > 3:
            position.sequence -= 3


def ahead_of_its_position(world: World) -> None:
    behind(world)
    world.is_quiet = False


def of_another_tenant(world: World) -> None:
    row = next(row for row in world.rows["accounts"] if row["account_id"] == STRANGER)
    row["tenant"] = "acme"


LIES: dict[Callable[[World], None], str] = {
    behind: "liveness: blotter reflects",
    ahead_of_its_position: "projection: order_blotter",
    of_another_tenant: "tenant: accounts: a row of 'acme' for the account of 'other'",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_read_model_that_is_elsewhere_than_it_says_is_named(
    lie: Callable[[World], None], codec: Codec, tmp_path: Path
) -> None:
    world = World(codec)
    lie(world)
    found = said(world, tmp_path)
    assert any(each.startswith(LIES[lie]) for each in found), found


@pytest.mark.parametrize("count", [0, 1, 30, 77, 150])
def test_rows_are_judged_at_the_position_of_their_read_model(count: int, codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    world.reflect(count)
    world.is_quiet = False
    verdict = judge(world.write(tmp_path / "run"))
    assert verdict.is_clean, verdict.findings
    assert verdict.judged.get("rows", 0) >= min(count, 1)
