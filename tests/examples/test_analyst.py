"""The analyst's example, run as its reader would, says what naive books of the same tape say."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import contexts
from domain.accounts.events import CashDeposited
from domain.kernel.messages import Event, Recorded
from domain.orders.commands import Side
from domain.orders.events import OrderFilled, OrderPlaced, OrderRefused
from gateways.operations import lake
from infra.avro.codec import Codec
from tests.kit import histories
from tests.kit.reading import MemoryReader
from tests.kit.tape import Tape

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ("orders.events", "accounts.events")
SECONDS_MAX = 60


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(ROOT / "examples" / "analyst.py"), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


@pytest.fixture(scope="module")
def tape() -> Tape:
    made = Tape(Codec(contexts.messages()))
    histories.play(made, histories.choices_from(seed=3, count=400))
    return made


@pytest.fixture
async def folder(tape: Tape, tmp_path: Path) -> Path:
    reader, cut = MemoryReader(tape.arrived), lake.Cut(rows=64)
    assert [each async for each in lake.export(reader, tape.codec, TOPICS, cut, tmp_path)]
    return tmp_path


def recorded(tape: Tape, kind: type[Event]) -> list[Recorded[Any]]:
    return [each for each in tape.recorded() if isinstance(each.event, kind)]


def cash(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


async def test_turnover_is_what_the_books_say(tape: Tape, folder: Path) -> None:
    traded: Counter[str] = Counter()
    deposited: Counter[str] = Counter()
    for each in recorded(tape, OrderFilled):
        traded[each.stream_id] += each.event.amount
    for each in recorded(tape, CashDeposited):
        deposited[each.stream_id] += each.event.amount
    told = json.loads(run(str(folder), "--json").stdout)["turnover"]
    assert told
    for row in told:
        account = row["account"]
        assert (Decimal(row["traded"]), Decimal(row["deposited"])) == (cash(traded[account]), cash(deposited[account]))
        assert abs(row["turnover"] - traded[account] / deposited[account]) < 0.001
    assert {row["account"] for row in told} == traded.keys() & deposited.keys()


async def test_execution_quality_is_what_the_books_say(tape: Tape, folder: Path) -> None:
    placed = {(each.stream_id, each.event.order_id): each.event for each in recorded(tape, OrderPlaced)}
    extra: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    at_arrival: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    amounts: Counter[tuple[str, str]] = Counter()
    for each in recorded(tape, OrderFilled):
        fill, order = each.event, placed.get((each.stream_id, each.event.order_id))
        if order is None or fill.late:
            continue
        group, sign = (fill.symbol, order.kind.value), 1 if fill.side is Side.BUY else -1
        extra[group] += fill.quantity * (fill.price - order.market.price) * sign
        at_arrival[group] += fill.quantity * order.market.price
        amounts[group] += fill.amount
    told = json.loads(run(str(folder), "--json").stdout)["execution_quality"]
    assert {(row["symbol"], row["kind"]) for row in told} == amounts.keys()
    for row in told:
        group = (row["symbol"], row["kind"])
        assert Decimal(row["cash"]) == cash(amounts[group])
        assert abs(row["shortfall_bp"] - float(extra[group] / at_arrival[group] * 10_000)) < 0.01


async def test_refusals_are_counted_by_their_reason(tape: Tape, folder: Path) -> None:
    reasons = Counter(each.event.reason.value for each in recorded(tape, OrderRefused))
    told = json.loads(run(str(folder), "--json").stdout)["refusals"]
    assert {row["reason"]: row["orders"] for row in told} == reasons


async def test_prints_tables_for_people(folder: Path) -> None:
    said = run(str(folder))
    assert said.returncode == 0, said.stderr
    assert "shortfall_bp" in said.stdout
    assert "turnover" in said.stdout


def test_a_folder_without_a_tape_says_how_to_get_one(tmp_path: Path) -> None:
    said = run(str(tmp_path))
    assert said.returncode == 1
    assert "tapeline tape to-parquet" in said.stderr
