"""A folder of `tapeline tape to-parquet` -> three answers by DuckDB: execution quality, turnover, refusals.

    ./tapeline tape to-parquet lake --topic orders.events --topic accounts.events
    python examples/analyst.py lake

It imports nothing of Tapeline: copy it and ask your own questions. Every event type is a table of its own; `meta` holds
the envelope of an event; prices, quantities and cash are exact decimals, so sums are exact too. Shortfall is what a
fill cost beyond the price at which its order was placed, in basis points: positive is worse for the client.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import duckdb

TABLES = {
    "placed": ("orders.events", "OrderPlaced"),
    "filled": ("orders.events", "OrderFilled"),
    "refused": ("orders.events", "OrderRefused"),
    "deposited": ("accounts.events", "CashDeposited"),
}
EXECUTION_QUALITY = """
SELECT
    filled.symbol,
    placed.kind,
    count(DISTINCT (filled.meta.stream_id, filled.order_id)) AS orders,
    sum(filled.quantity) AS shares,
    sum(filled.amount) AS cash,
    round(sum(filled.quantity * (filled.price - placed.market.price) * CASE filled.side WHEN 'BUY' THEN 1 ELSE -1 END)
        * 10000 / sum(filled.quantity * placed.market.price), 2) AS shortfall_bp,
    round(median(date_diff('microsecond', placed.meta.recorded_at, filled.meta.recorded_at)) / 1000, 1) AS median_ms
FROM filled
JOIN placed USING (order_id)
WHERE placed.meta.tenant = filled.meta.tenant AND placed.meta.stream_id = filled.meta.stream_id AND NOT filled.late
GROUP BY ALL
ORDER BY cash DESC, filled.symbol, placed.kind
"""
TURNOVER = """
WITH traded AS (
    SELECT meta.tenant AS tenant, meta.stream_id AS account, sum(amount) AS traded, count(*) AS fills
    FROM filled GROUP BY ALL
), brought AS (
    SELECT meta.tenant AS tenant, meta.stream_id AS account, sum(amount) AS deposited FROM deposited GROUP BY ALL
)
SELECT tenant, account, fills, traded, deposited, round(traded / deposited, 3) AS turnover
FROM traded JOIN brought USING (tenant, account)
ORDER BY turnover DESC, account
LIMIT 10
"""
REFUSALS = "SELECT reason, count(*) AS orders FROM refused GROUP BY reason ORDER BY orders DESC, reason"
QUESTIONS = {
    "execution_quality": (EXECUTION_QUALITY, {"placed", "filled"}),
    "turnover": (TURNOVER, {"filled", "deposited"}),
    "refusals": (REFUSALS, {"refused"}),
}
"""Each question, and the tables it needs."""


def opened(folder: Path) -> tuple[duckdb.DuckDBPyConnection, set[str]]:
    """A database in memory whose views are the event types in the folder, and which of them there are."""
    if not any(folder.glob("topic=*")):
        raise SystemExit(f"{folder} holds no tape: write it with `./tapeline tape to-parquet {folder}`")
    connection, there = duckdb.connect(), set()
    for name, (topic, message) in TABLES.items():
        files = folder / f"topic={topic}" / f"message={message}"
        if files.is_dir():
            there.add(name)
            connection.read_parquet(f"{files}/**/*.parquet", hive_partitioning=True).create_view(name)
    return connection, there


def answers(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every question; none where nothing of the kind has happened."""
    found: dict[str, list[dict[str, Any]]] = {}
    connection, there = opened(folder)
    with connection:
        for name, (question, needed) in QUESTIONS.items():
            if not needed <= there:
                found[name] = []
                continue
            cursor = connection.execute(question)
            columns = [column[0] for column in cursor.description or ()]
            found[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return found


def main() -> None:
    """Print the answers, as tables or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what `tapeline tape to-parquet` wrote")
    parser.add_argument("--json", action="store_true", help="answer in JSON, amounts as text")
    chosen = parser.parse_args()
    if chosen.json:
        json.dump(answers(chosen.folder), sys.stdout, default=str, indent=1)
        return
    connection, there = opened(chosen.folder)
    with connection:
        for name, (question, needed) in QUESTIONS.items():
            told = connection.sql(question) if needed <= there else "nothing of the kind has happened yet"
            sys.stdout.write(f"{name.replace('_', ' ').capitalize()}\n{told}\n")


if __name__ == "__main__":
    main()
