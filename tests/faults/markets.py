"""Customers of the kit who trade on a whole stack, with their history in the checker's format."""

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp

from tests.faults.checker import ids
from tests.faults.checker.evidence import Entry
from tests.faults.histories import MANY, Log
from tests.kit.trading import ANSWER_SECONDS_MAX, TENANT, History, Market


class Witnessed(History):
    """The kit's history, and beside it what the checker reads. One customer has one operation under way at a time."""

    def __init__(self, path: Path, log: Log) -> None:
        super().__init__(path)
        self._log = log
        self._ops = 0
        self._attempts: Counter[str] = Counter()
        self._under_way: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, kind: Literal["invoke", "ok", "fail", "info"], account_id: str, *asked: str, **told: Any) -> None:
        """Write it down twice before anybody acts on it."""
        route, command = asked
        if kind == "invoke":
            self._ops += 1
            self._attempts[command] += 1
            self._under_way[account_id, command] = (self._ops, self._attempts[command])
        op, attempt = self._under_way[account_id, command]
        place: dict[str, Any] = {}
        if told.get("position"):
            ((topic, partition), sequence) = next(iter(ids.places(told["position"]).items()))
            place = {"topic": topic, "partition": partition, "sequence": sequence}
        entry = Entry(
            kind=kind,
            mono_ns=time.monotonic_ns(),
            wall_us=time.time_ns() // 1_000,
            op=op,
            client="customers",
            tenant=TENANT,
            account=account_id,
            asked=route,
            command="" if route.endswith(MANY) else command,
            attempt=attempt,
            status=told.get("status", 0),
            reason=told.get("reason", "") if kind == "fail" and place else "",
            **place,
        )
        self._log.write(entry)
        super().add(kind, account_id, *asked, **told)


@contextlib.asynccontextmanager
async def market(url: str, state_dir: Path, folder: Path) -> AsyncIterator[Market]:
    """A market to trade in, whose history is evidence in this folder."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    connector = aiohttp.TCPConnector(limit=0)
    with Log(folder / "histories" / "customers.ndjson") as log:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            yield Market(session, url, state_dir, Witnessed(folder / "kit-history.jsonl", log))
