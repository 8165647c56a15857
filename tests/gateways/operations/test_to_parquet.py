"""The tape as Parquet: the same range gives the same bytes, every amount is exact, and a broken chain is no data."""

import asyncio
import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any, NewType, get_type_hints

import duckdb
import msgspec
import pytest
import typer
from typer.testing import CliRunner

import contexts
import main
from deploy.local.kafka import LocalKafka
from domain.accounts.events import CashDeposited
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import Money, Price, Quantity
from domain.market_data.marks import Mark
from domain.orders.events import OrderFilled
from gateways.operations import lake, to_parquet
from gateways.operations.lake import Cut, Exported, RangeRefused
from infra import parquet
from infra.avro.codec import Codec
from infra.kafka.chain import ChainBroken
from infra.settings import settings
from tests.kit import histories
from tests.kit.deciding import Installation
from tests.kit.doors import mark_price
from tests.kit.reading import MemoryReader
from tests.kit.tape import ACME, Tape
from tests.streams.test_deciders import deposit, opened

TOPICS = ("orders.events", "accounts.events", "risk.events")
BY_SEQUENCE = Cut(rows=16)


@pytest.fixture(scope="module")
def tape() -> Tape:
    made = Tape(Codec(contexts.messages()))
    histories.play(made, histories.choices_from(seed=7, count=600))
    return made


async def exported(
    tape: Tape, folder: Path, wanted: Cut = BY_SEQUENCE, topics: tuple[str, ...] = TOPICS, **options: Any
) -> list[Exported]:
    reader = MemoryReader(options.pop("arrived", tape.arrived))
    return [each async for each in lake.export(reader, tape.codec, topics, wanted, folder, **options)]


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def asked(folder: Path, message: str, columns: str, where: str = "true") -> list[Any]:
    source = f"read_parquet('{folder}/topic=*/message={message}/**/*.parquet', hive_partitioning = true)"
    return query(f"SELECT {columns} FROM {source} WHERE {where}")


def query(sql: str) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def recorded(tape: Tape, kind: type[Event]) -> list[Recorded[Any]]:
    return [each for each in tape.recorded() if isinstance(each.event, kind)]


async def test_duckdb_reads_every_amount_exactly(tape: Tape, tmp_path: Path) -> None:
    await exported(tape, tmp_path)
    fills = recorded(tape, OrderFilled)
    assert fills, "the history has fills"
    rows = asked(tmp_path, "OrderFilled", "meta.event_id, quantity, price, amount, symbol, meta.at")
    found = {row[0]: row[1:] for row in rows}
    for each in fills:
        quantity, price, amount, symbol, at = found[each.event_id]
        assert quantity == Decimal(each.event.quantity).scaleb(-8)
        assert price == Decimal(each.event.price).scaleb(-8)
        assert amount == Decimal(each.event.amount).scaleb(-2)
        assert (symbol, int(at.timestamp()) * 1_000_000 + at.microsecond) == (each.event.symbol, each.at)
    total = asked(tmp_path, "CashDeposited", "sum(amount)")[0][0]
    assert total == Decimal(sum(each.event.amount for each in recorded(tape, CashDeposited))).scaleb(-2)


async def test_every_event_stands_in_one_file_where_its_names_say(tape: Tape, tmp_path: Path) -> None:
    done = await exported(tape, tmp_path)
    assert sum(each.rows for each in done) == sum(each.topic in TOPICS for each in tape.arrived)
    for topic in TOPICS:
        source = f"read_parquet('{tmp_path}/topic={topic}/**/*.parquet', hive_partitioning=true, union_by_name=true)"
        places = query(f"SELECT topic, tape_partition, meta.sequence, first FROM {source} ORDER BY ALL")
        assert all(sequence // 16 * 16 == int(first) for _, _, sequence, first in places)
        numbers = [(partition, sequence) for _, partition, sequence, _ in places]
        assert len(set(numbers)) == len(numbers)
        for number in {partition for partition, _ in numbers}:
            own = [sequence for partition, sequence in numbers if partition == number]
            assert own == list(range(len(own))), "dense, as on the tape"


async def test_the_same_range_has_the_same_bytes_whoever_asks_and_whenever(tape: Tape, tmp_path: Path) -> None:
    some = tape.arrived[: len(tape.arrived) * 2 // 3]
    early = Cut(rows=16, until=f"{16:012}")
    busy = ("orders.events", "accounts.events")
    await exported(tape, tmp_path / "early", early, busy, arrived=some)
    await exported(tape, tmp_path / "again", early, busy, arrived=some)
    await exported(tape, tmp_path / "later", early, busy)
    await exported(tape, tmp_path / "all", BY_SEQUENCE, busy)
    before = files(tmp_path / "early")
    assert before == files(tmp_path / "again") == files(tmp_path / "later")
    assert len(before) > 10
    everything = files(tmp_path / "all")
    assert before.items() <= everything.items(), "what a longer export says of these ranges is the same"
    await exported(tape, tmp_path / "early", BY_SEQUENCE, busy)
    assert files(tmp_path / "early") == everything, "an export into a folder that has some completes it"


async def test_row_groups_follow_from_the_range_alone(
    tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "ROWS_HELD_MAX", 5)
    held: list[int] = []
    write = parquet.File.write

    def watched(file: parquet.File, rows: list[dict[str, Any]]) -> None:
        held.append(len(rows))
        write(file, rows)

    monkeypatch.setattr(parquet.File, "write", watched)
    from_zero = Cut(rows=32)
    await exported(tape, tmp_path / "all", from_zero)
    await exported(tape, tmp_path / "second", Cut(rows=32, begin=f"{32:012}"))
    assert max(held) <= 5, "no more rows are held than the limit says"
    assert files(tmp_path / "second").items() <= files(tmp_path / "all").items()


async def test_a_day_is_a_range_too(tape: Tape, tmp_path: Path) -> None:
    await exported(tape, tmp_path, lake.cut(by_day=True, rows=1, begin="", until=""))
    days = {part for name in files(tmp_path) for part in name.split("/") if part.startswith("day=")}
    assert days == {"day=2023-11-14"}
    await exported(tape, tmp_path / "none", lake.cut(by_day=True, rows=1, begin="2023-11-15", until=""))
    assert not files(tmp_path / "none")


async def test_one_tenant_gets_its_own_rows_and_no_others(tape: Tape, tmp_path: Path) -> None:
    await exported(tape, tmp_path / "acme", tenant=ACME)
    tenants = asked(tmp_path / "acme", "*", "DISTINCT meta.tenant")
    assert tenants == [(ACME,)]
    await exported(tape, tmp_path / "other", tenant="nobody")
    assert not files(tmp_path / "other")


async def test_a_broken_chain_stops_the_export_and_leaves_no_half_file(tape: Tape, tmp_path: Path) -> None:
    place = next(each for each in tape.arrived if each.topic == TOPICS[0])
    own = [each for each in tape.arrived if (each.topic, each.partition) == (place.topic, place.partition)]
    lost = own[20]
    with pytest.raises(ChainBroken, match=r"sequence 21 follows 19"):
        await exported(tape, tmp_path, arrived=[each for each in tape.arrived if each is not lost])
    assert all(name.endswith("part.parquet") for name in files(tmp_path))
    rows = asked(tmp_path, "*", "max(meta.sequence)", f"tape_partition = {place.partition} AND topic = '{TOPICS[0]}'")
    assert rows[0][0] < 20, "nothing past the break was written"


async def test_the_footer_names_the_last_record_of_its_range(tape: Tape, tmp_path: Path) -> None:
    await exported(tape, tmp_path)
    own = [each for each in tape.arrived if (each.topic, each.partition) == (TOPICS[0], 0)]
    found = query(
        "SELECT DISTINCT decode(key), decode(value) FROM "
        f"parquet_kv_metadata('{tmp_path}/topic={TOPICS[0]}/*/tape_partition=0/first=000000000000/*.parquet') "
        "WHERE decode(key) LIKE 'tapeline.%'"
    )
    last = hashlib.sha256(own[15].value).hexdigest()
    assert set(found) == {("tapeline.first", "0"), ("tapeline.last", "15"), ("tapeline.hash", last)}


async def test_a_feed_is_cut_by_its_offsets(codec: Codec, tmp_path: Path) -> None:
    tape = Tape(codec)
    for sequence in range(5):
        prices = {"MSFT": mark_price("30.25"), "AAPL": mark_price("101.125")}
        mark = Mark(
            sequence=sequence,
            market_time=Micros(1),
            session_date="2012-03-05",
            phase=Phase.OPEN,
            observed_at=Micros(2),
            is_complete=True,
            prices=prices,
        )
        tape.observe("market_data.marks", mark)
    await exported(tape, tmp_path, topics=("market_data.marks",))
    rows = asked(tmp_path, "Mark", "tape_offset, prices['AAPL'].last, phase", "sequence = 3")
    assert rows == [(6, Decimal("101.12500000"), Phase.OPEN.value)]
    with pytest.raises(RangeRefused, match="cut it by sequence"):
        await exported(tape, tmp_path, Cut(rows=0), topics=("market_data.marks",))


@pytest.mark.parametrize("options", [{"begin": "17"}, {"until": "x"}, {"rows": 0}, {"by_day": True, "begin": "5.3.12"}])
def test_a_range_that_cannot_be_cut_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RangeRefused):
        lake.cut(**{"by_day": False, "rows": 16, "begin": "", "until": "", **options})


def test_every_message_has_columns_and_no_column_is_a_float() -> None:
    for topic in contexts.carried():
        for message in topic.messages:
            if "commands" in topic.spec.name:
                continue
            shape = parquet.shape_of(message, is_event=issubclass(message, Event))
            assert "double" not in str(shape.schema), message
            assert not {"topic", "message", "tape_partition", "first", "day"} & set(shape.schema.names), message


def test_every_scaled_integer_is_a_decimal() -> None:
    for kind in (Price, Quantity, Money):
        assert "decimal128" in str(parquet.column(kind).type)
    amounts = {
        hint
        for message in contexts.messages()
        for hint in get_type_hints(message).values()
        if isinstance(hint, NewType) and hint.__module__ == Money.__module__
    }
    assert amounts <= set(parquet.PLACES), "give the new kind of amount its decimal places in infra/parquet.py"


@pytest.mark.kafka
async def test_the_command_writes_a_real_tape(
    kafka: LocalKafka, codec: Codec, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation.running():
        await installation.command([opened(), *(deposit(number) for number in range(40))])
        await installation.events(41)
    topic = f"{installation.context}.events"
    monkeypatch.setenv("TAPELINE_KAFKA", kafka.bootstrap)
    settings.cache_clear()
    try:
        app = typer.Typer()
        app.command()(to_parquet.command([topic], lambda: codec))
        said = await _invoked(app, str(tmp_path), "--rows", "16", "--json")
    finally:
        settings.cache_clear()
    (done,) = msgspec.json.decode(said.stdout, type=list[Exported])
    assert (done.topic, done.records, done.rows) == (topic, 42, 42)
    assert topic in said.stderr, "progress is shown beside the answer"
    assert asked(tmp_path, "CashDeposited", "count(*), sum(amount)")[0][0] == 40


async def _invoked(app: Any, *arguments: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


def test_the_command_names_the_topics_there_are(tmp_path: Path) -> None:
    said = CliRunner().invoke(main.app, ["tape", "to-parquet", str(tmp_path), "--topic", "orders.commands"])
    assert said.exit_code == 2
    assert "no such topic" in said.stderr
    assert "market_data.marks" in said.stderr
