"""A real Prometheus over every process of the stack, with the configuration that the stack is given."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local import children, ports, prometheus
from deploy.local.processes import OURS
from tests.kit import machine
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack

SEEN_WITHIN_SECONDS = 40.0
"""The first scrape comes within an interval, a rate after two of them; the rest is a busy machine."""


class Asked:
    """What one Prometheus answers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def query(self, expression: str) -> dict[str, float]:
        """The values by job, reader or context."""
        told = await self._get("query", query=expression)
        return {
            next((each["metric"][name] for name in ("job", "reader", "context") if name in each["metric"]), ""): float(
                each["value"][1]
            )
            for each in told["result"]
        }

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health."""
        return [rule for group in (await self._get("rules"))["groups"] for rule in group["rules"]]

    async def until(self, expression: str, *names: str) -> dict[str, float]:
        """The values, once all of these have one."""
        async with asyncio.timeout(SEEN_WITHIN_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    found = await self.query(expression)
                    if set(names) <= set(found):
                        return found
                await asyncio.sleep(0.2)

    async def _get(self, what: str, **parameters: str) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{what}", params=parameters) as response:
            return (await response.json())["data"]


@contextlib.asynccontextmanager
async def prometheus_over(stack: WholeStack, folder: Path) -> AsyncIterator[Asked]:
    machine.program("prometheus", "prometheus")
    port = ports.one()
    chosen = dataclasses.replace(stack.addresses, state_dir=str(folder))
    argv = prometheus.command(chosen, port)
    child = children.spawn(argv, log=folder / "prometheus.log")
    try:
        children.await_ready(
            child,
            lambda: children.owns(child.pid, port),
            name="prometheus",
            log=folder / "prometheus.log",
            limit_s=SEEN_WITHIN_SECONDS,
        )
        async with aiohttp.ClientSession() as session:
            yield Asked(session, f"http://127.0.0.1:{port}")
    finally:
        children.kill(child)


async def test_every_process_is_scraped_and_the_rules_count_what_was_decided(
    stack: WholeStack, market: Market, tmp_path: Path
) -> None:
    async with prometheus_over(stack, tmp_path) as asked:
        assert await asked.until("up == 1", *OURS)
        await market.open_and_fund(2)
        assert await asked.until("tapeline:decisions:rate1m > 0", "orders", "accounts")
        lags = await asked.until("tapeline:lag_records:by_reader", "gateway", "agents", "sagas", "audit")
        assert all(lag >= 0 for lag in lags.values())
        rules = await asked.rules()
        assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] == "err"} == {}
        pages = await asked.query('ALERTS{alertstate="firing", severity="page"}')
        assert pages == {}


def test_the_configuration_names_every_process_once(whole: WholeStack) -> None:
    told = json.loads(prometheus.config(whole.addresses))
    assert [job["job_name"] for job in told["scrape_configs"]] == list(OURS)
    assert len({job["static_configs"][0]["targets"][0] for job in told["scrape_configs"]}) == len(OURS)
