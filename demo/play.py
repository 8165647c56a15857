"""`make demo`: the whole stack, a real market, two hundred customers, a screen, and an end that is checked.

Writes `.tapeline/demo/summary.json`; the exit code is 1 when a book does not balance, a proof fails, or an acknowledged
command is missing.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from demo import acts, report
from demo.customers import Account, Customer, Habit
from demo.numbers import Numbers
from demo.office import PRICES, Office
from demo.partner import CONTEXTS, Partner
from demo.report import Ending, Figures
from demo.screen import Measured, Screen
from demo.watch import Watch
from deploy.local import background
from deploy.local.addresses import Addresses
from deploy.local.children import NotReady
from domain.kernel.market import Phase
from infra.avro.codec import Codec
from infra.kafka.reader import Reader
from infra.tokens import Mint, Scope

NAME = "demo"
CUSTOMERS = 200
DAYS = 3
TENANT = "demo"
SEED = 2012
TOKEN_SECONDS = 3_600
"""Validity of a customer's token: longer than any demo."""
OPENING_AT_ONCE = 20
"""Customers that open their accounts side by side."""
LARGE, HASTY, CARELESS = 5, 5, 30
"""How many customers have which habit; all others are steady."""
PLAY_SECONDS_MAX = 600.0
"""Longest play: days that take longer are not played on this machine."""
SCRAPE_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 300.0
"""Longest wait for one answer: two hundred customers fill a small machine."""
LISTEN_BYTES = 65_536
WITHDRAWALS = 10
"""Customers that take cash out in the end, half of them more than they have."""

console = Console()


class Summary(msgspec.Struct, kw_only=True):
    """What summary.json holds."""

    is_good: bool
    seconds_to_ready: str
    seconds_played: str
    orders_sent: int
    orders_per_second: str
    acknowledged_p50_ms: str
    acknowledged_p90_ms: str
    acknowledged_p99_ms: str
    answers: dict[str, int]
    refusals: dict[str, int]
    websocket_frames: int
    breaches: int
    breaches_cleared: int
    copies_lost: int
    partner_events: int
    partner_resumed: int
    load_average: str
    proof: str
    account: str
    """One that traded: the commands to look further name it."""
    figures: Figures


def play(root: Path, codec: Codec, contexts: list[str]) -> int:
    """Run the demo; gives the exit code."""
    # A script that starts us beside itself has its shell tell us to ignore Ctrl-C; here it always ends everything.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    background.reset(root, name=NAME)
    try:
        addresses = background.up(root, name=NAME, options=("--days", str(DAYS)), is_tied=True)
    except NotReady as failure:
        console.print(str(failure), highlight=False)
        return 1
    ready_s = time.monotonic() - began
    os.environ.update(addresses.env())
    try:
        summary = asyncio.run(_play(root, addresses, codec, contexts, ready_s))
    finally:
        console.print("stopping the stack", highlight=False)
        background.down(root, name=NAME)
    _tell(summary, addresses)
    return 0 if summary.is_good else 1


async def _play(root: Path, addresses: Addresses, codec: Codec, contexts: list[str], ready_s: float) -> Summary:
    numbers = Numbers()
    watch = Watch(Reader(addresses.kafka, "demo-watch"), codec, contexts)
    watching = asyncio.create_task(watch.run())
    connector = aiohttp.TCPConnector(limit=0)
    wait = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    async with aiohttp.ClientSession(connector=connector, timeout=wait) as session:
        showing = asyncio.create_task(Screen(numbers, watch, lambda: _measure(session, addresses.metrics)).run())
        office = Office(session, addresses.gateway_url, Mint(Path(addresses.state_dir)), TENANT)
        partner = await _partner(session, addresses, office)
        following = asyncio.create_task(partner.follow())
        began = time.monotonic()
        try:
            await _trade(session, addresses, numbers, watch, office)
            played_s = time.monotonic() - began
            lost = await acts.reconcile(session, addresses.venue_url, office, watch)
            await acts.bill(office, watch)
        finally:
            for task in (following, showing):
                task.cancel()
            await asyncio.gather(following, showing, return_exceptions=True)
        await partner.finish()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    ending, reader = Ending(), Reader(addresses.kafka, "demo-ending")
    await ending.read(reader, codec, contexts)
    await reader.close()
    figures = await report.settled(ending, addresses.venue_url, numbers.acknowledged)
    figures.faults += ending.breaks.differences(lost) + partner.differences(ending.places)
    is_proved, said = await asyncio.to_thread(report.prove, ending.order_ids[-1], Path(addresses.state_dir), root)
    summary = Summary(
        is_good=is_proved and not figures.faults,
        seconds_to_ready=f"{ready_s:.1f}",
        seconds_played=f"{played_s:.1f}",
        orders_sent=numbers.orders,
        orders_per_second=f"{numbers.orders / played_s:.1f}",
        acknowledged_p50_ms=numbers.latency_ms("p50"),
        acknowledged_p90_ms=numbers.latency_ms("p90"),
        acknowledged_p99_ms=numbers.latency_ms("p99"),
        answers=dict(numbers.answers),
        refusals=dict(numbers.refusals),
        websocket_frames=numbers.frames,
        breaches=watch.breaches,
        breaches_cleared=watch.cleared,
        copies_lost=len(lost),
        partner_events=partner.events,
        partner_resumed=partner.resumed,
        load_average=" ".join(f"{load:.1f}" for load in os.getloadavg()),
        proof=said,
        account=next(account for account, fills in ending.fills.items() if fills),
        figures=figures,
    )
    (Path(addresses.state_dir) / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
    return summary


async def _partner(session: aiohttp.ClientSession, addresses: Addresses, office: Office) -> Partner:
    """A partner whose token is bound to its subscription."""
    subscription = await office.subscribe("the demo's partner", CONTEXTS)
    mint = Mint(Path(addresses.state_dir))
    token = mint.mint(
        tenant=TENANT, sub="partner", account_id=subscription, scopes=[Scope.PARTNER], ttl_s=TOKEN_SECONDS
    )
    url = f"{addresses.gateway_url}/v1/partners/subscriptions/{subscription}/stream"
    return Partner(session, url, token, SEED)


async def _trade(
    session: aiohttp.ClientSession, addresses: Addresses, numbers: Numbers, watch: Watch, office: Office
) -> None:
    customers = _population(session, addresses, numbers)
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def arrive(customer: Customer) -> None:
        async with gate:
            await customer.open()

    await asyncio.gather(*(arrive(customer) for customer in customers))
    await office.restrain(each.account.account_id for each in customers if each.habit is Habit.HASTY)
    await office.publish(PRICES, "the first list")
    await acts.forget(session, addresses.venue_url)
    bell = await _ring(addresses)
    stop = asyncio.Event()
    trading = [asyncio.create_task(customer.trade(stop)) for customer in customers]
    try:
        async with asyncio.timeout(PLAY_SECONDS_MAX):
            await _last_close(watch)
    finally:
        bell.close()
        stop.set()
        await asyncio.gather(*trading)
    for index, customer in enumerate(customers[:WITHDRAWALS]):
        await customer.withdraw("100.00" if index % 2 else "99000000.00")


async def _ring(addresses: Addresses) -> asyncio.StreamWriter:
    """The market begins when the last of its listeners comes: this connection, which only ever listens."""
    market = urlsplit(addresses.market_url)
    reader, writer = await asyncio.open_connection(market.hostname, market.port)

    async def listen() -> None:
        while await reader.read(LISTEN_BYTES):
            pass

    task = asyncio.create_task(listen())
    task.add_done_callback(lambda _: writer.close())
    return writer


def _population(session: aiohttp.ClientSession, addresses: Addresses, numbers: Numbers) -> list[Customer]:
    mint, draw = Mint(Path(addresses.state_dir)), random.Random(SEED)
    habits = [Habit.LARGE] * LARGE + [Habit.HASTY] * HASTY + [Habit.CARELESS] * CARELESS
    habits += [Habit.STEADY] * (CUSTOMERS - len(habits))
    draw.shuffle(habits)
    made = []
    for number, habit in enumerate(habits):
        account_id = str(uuid.uuid4())
        token = mint.mint(
            tenant=TENANT,
            sub=f"customer-{number}",
            account_id=account_id,
            scopes=[Scope.TRADE, Scope.READ],
            ttl_s=TOKEN_SECONDS,
        )
        account = Account(account_id, token, TENANT)
        made.append(Customer(addresses.gateway_url, session, account, habit, SEED + number, numbers))
    return made


async def _last_close(watch: Watch) -> None:
    """Until the market has closed on the last day."""
    days: set[str] = set()
    while True:
        if watch.board.phase is Phase.OPEN:
            days.add(watch.board.session_date)
        if len(days) == DAYS and watch.board.phase is Phase.CLOSED:
            return
        await asyncio.sleep(0.1)


async def _measure(session: aiohttp.ClientSession, ports: Mapping[str, int]) -> Measured:
    """Lag of every reader and the size of the audit log, as the processes tell Prometheus."""
    measured = Measured()
    for port in ports.values():
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout = aiohttp.ClientTimeout(total=SCRAPE_SECONDS_MAX)
            async with session.get(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
                _scraped(await answer.text(), measured)
    return measured


def _scraped(text: str, measured: Measured) -> None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "tapeline_lag_records":
                reader = sample.labels["reader"].partition(".")[0]
                measured.lag[reader] = measured.lag.get(reader, 0) + int(sample.value)
            elif sample.name == "tapeline_audit_leaves":
                measured.leaves += int(sample.value)


def _tell(summary: Summary, addresses: Addresses) -> None:
    table = Table(title="events on the tape", title_justify="left")
    table.add_column("event")
    table.add_column("number", justify="right")
    for name, number in summary.figures.events_by_type.items():
        table.add_row(name, str(number))
    console.print(table)
    figures = summary.figures
    lines = [
        f"{figures.accounts} accounts, {figures.fills} fills, {figures.traded} USD traded",
        f"{summary.copies_lost} copies lost at the venue made {figures.breaks} breaks",
        f"{figures.statements_matched} statements of the venue matched",
        f"a partner heard {summary.partner_events} events and resumed {summary.partner_resumed} times",
        f"{figures.invoices} invoices, {figures.credit_notes} credit notes, {figures.owed} USD owed",
        f"{summary.orders_sent} orders sent, {summary.orders_per_second} a second",
        f"acknowledged p50 {summary.acknowledged_p50_ms} ms, p99 {summary.acknowledged_p99_ms} ms",
        f"load average {summary.load_average}",
        f"ready after {summary.seconds_to_ready} s, played {summary.seconds_played} s",
        f"{figures.acknowledged} acknowledged commands were looked up on the tape",
        f"audit proof of one order: {summary.proof}",
    ]
    for line in lines:
        console.print(line, highlight=False)
    for fault in figures.faults:
        console.print(f"[red]FAULT[/] {fault}", highlight=False)
    verdict = "every book balances with the venue's records" if summary.is_good else "the demo FAILED"
    console.print(f"[bold]{verdict}[/]; {addresses.state_dir}/summary.json", highlight=False)
    console.print(
        f'look further on this tape: `make up NAME={NAME}`, `eval "$(./tapeline env --name {NAME})"`, then '
        "`./tapeline status`, `./tapeline audit verify --tape`, `./tapeline tape count orders.events`, "
        f"`./tapeline audit replay --account {summary.account}`",
        highlight=False,
    )
