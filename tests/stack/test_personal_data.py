"""Who is checked is known to the customer and the vendor alone: nothing of ours holds a word of it in the clear.

Planted names go in at the door; everything that the stack keeps, says, shows or exports is then searched for them.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from confluent_kafka.admin import AdminClient

import contexts
from deploy.local import folders
from infra.avro.codec import Codec
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.sender import murmur2_partition
from infra.postgres import Database
from infra.settings import PARTITIONS
from tests.kit.trading import Market, Trader
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

PLANTED = {
    "first_name": "Zwentibold",
    "last_name": "Quetzalplant",
    "date_of_birth": "1931-07-19",
    "email": "zwentibold@quetzalplant.example",
    "address": {"country": "GBR", "postcode": "ZZ9 9QX", "street": "Xylophongasse", "town": "Vrijplaatsdorp"},
}
WORDS = ("zwentibold", "quetzalplant", "1931-07-19", "zz9 9qx", "xylophongasse", "vrijplaatsdorp")
REFUSED = PLANTED | {"last_name": "Quetzalplant<script>", "email": None}
OUTSIDE = ("onfido.journal", "onfido.log")
"""What the vendor keeps and says, in this folder only because its simulator is started beside us."""

CHECKS = "onboarding.events"
SIGNED_WITHIN_SECONDS = 60.0
NUMBERS = (".index", ".timeindex")
"""Files of the broker that hold offsets alone, ten preallocated megabytes each."""


def words_in(data: bytes) -> list[str]:
    """The planted words in these bytes, as text in any case."""
    lowered = data.lower()
    return [word for word in WORDS if word.encode() in lowered]


@pytest.mark.timeout(300)
async def test_no_planted_word_stands_on_the_tape_in_tables_logs_or_exports(
    stack: WholeStack, market: Market, tmp_path: Path
) -> None:
    (trader,) = await market.open_and_fund(1, "1000.00")
    await _checked(trader)
    found: dict[str, list[str]] = {}
    records = 0
    async for place, data in _topics(stack):
        records += 1
        found |= {place: words_in(data)} if words_in(data) else {}
    assert records, "no topic was read: the test proves nothing"
    found |= {name: words for name, words in await _tables(stack) if words}
    found |= {name: words for name, words in _files(stack) if words}
    found |= {name: words for name, words in await _exports(stack, trader, tmp_path) if words}
    assert found == {}
    journal = stack.stack.state_dir / OUTSIDE[0]
    assert words_in(journal.read_bytes()), "the vendor was never told: the test proves nothing"


async def _checked(trader: Trader) -> None:
    """A check with planted words, passed; and one that the door refuses, which may be logged."""
    assert (await trader.check(**REFUSED)).status in {400, 422}
    check_id = (await trader.check(**PLANTED)).body["check_id"]
    async with asyncio.timeout(60):
        while (await trader.checked(check_id)).get("status") != "PASSED":
            await asyncio.sleep(0.2)


async def _topics(stack: WholeStack) -> AsyncIterator[tuple[str, bytes]]:
    """Every record of every topic, keys and headers too."""
    admin = AdminClient({"bootstrap.servers": stack.addresses.kafka})
    topics = [name for name in admin.list_topics(timeout=10).topics if name != "__consumer_offsets"]
    reader = Reader(stack.addresses.kafka, "sweep")
    ends = {(topic, number): end for topic in topics for number, end in (await reader.ends(topic)).items()}
    await reader.assign(dict.fromkeys(ends, BEGINNING))
    while any(reader.position().get(place, 0) < end for place, end in ends.items()):
        for each in await reader.take(5_000, 100):
            data = b"\0".join([each.key, each.value, *each.headers.values()])
            yield f"{each.topic}[{each.partition}]@{each.offset}", data
    await reader.close()


async def _tables(stack: WholeStack) -> list[tuple[str, list[str]]]:
    """Every row of every table, as text."""
    database = Database(stack.addresses.postgres, name="sweep")
    listed = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
    names = await database.value(f"SELECT array_agg(name) FROM ({listed}) AS t (name)")
    found = []
    for name in names:
        schema, _, table = name.partition(".")
        text = await database.value(f'SELECT string_agg(t::text, chr(10)) FROM "{schema}"."{table}" AS t')
        found.append((name, words_in((text or "").encode())))
    await database.close()
    assert found
    return found


def _files(stack: WholeStack) -> Iterator[tuple[str, list[str]]]:
    """Every file of the stack: logs, audit, state of agents, the vault, the broker's and the database's own."""
    for path in sorted(stack.stack.state_dir.rglob("*")):
        if path.is_file() and path.name not in OUTSIDE and path.suffix not in NUMBERS:
            yield str(path), words_in(path.read_bytes())


async def _exports(stack: WholeStack, trader: Trader, folder: Path) -> list[tuple[str, list[str]]]:
    """The lake as Parquet, and the events of the check with their proofs."""
    await _tapeline(stack, "tape", "to-parquet", str(folder / "lake"))
    files = sorted((folder / "lake").rglob("*.parquet"))
    found = [(str(each), words_in(str(pyarrow.parquet.read_table(each).to_pylist()).encode())) for each in files]
    assert any("onboarding" in name for name, _ in found)
    proven, last = folder / "export.ndjson", await _last_event(stack, trader)
    async with asyncio.timeout(SIGNED_WITHIN_SECONDS):
        while not await _is_exported(stack, last, proven):
            await asyncio.sleep(0.5)
    assert trader.account_id.encode() in proven.read_bytes(), "the check was not exported: the test proves nothing"
    return [*found, (proven.name, words_in(proven.read_bytes()))]


async def _last_event(stack: WholeStack, trader: Trader) -> str:
    """Where the newest event of the trader's checks stands: topic/partition/sequence."""
    codec, reader = Codec(contexts.messages()), Reader(stack.addresses.kafka, "last")
    place, sequence = (CHECKS, murmur2_partition(trader.account_id.encode(), PARTITIONS)), 0
    end = (await reader.ends(CHECKS))[place[1]]
    await reader.assign({place: BEGINNING})
    while reader.position().get(place, 0) < end:
        events = [codec.decode_event(each.value) for each in await reader.take(5_000, 100)]
        sequence = max([sequence, *(each.sequence for each in events if each.stream_id == trader.account_id)])
    await reader.close()
    assert sequence > 0
    return f"{CHECKS}/{place[1]}/{sequence}"


async def _is_exported(stack: WholeStack, last: str, out: Path) -> bool:
    """Whether everything up to there was signed, and so could be exported; records are signed in seconds."""
    ran = await _ran(stack, "audit", "export", f"{last.rpartition('/')[0]}/0", last, "--out", str(out))
    assert words_in((ran.stdout + ran.stderr).encode()) == []
    return ran.returncode == 0


async def _tapeline(stack: WholeStack, *argv: str) -> None:
    ran = await _ran(stack, *argv)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert words_in((ran.stdout + ran.stderr).encode()) == []


async def _ran(stack: WholeStack, *argv: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "main.py", *argv],
        cwd=folders.ROOT,
        env=stack.addresses.env() | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
