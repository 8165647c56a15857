"""POST of an order -> 201, when its event was read back from the tape: how long, at a rate that does not wait."""

import asyncio
import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.market_data.marks import Mark
from infra import commands
from infra.clock import wall
from infra.kafka.sender import Sender
from infra.settings import PARTITIONS
from infra.tokens import Mint, Scope
from tests.bench import trading
from tests.bench.figures import Arm, Figure, Measured, Reach
from tests.bench.load import Load
from tests.bench.stage import ROOT, Sizes, Stage, cpu_s, port, run
from tests.kit.doors import mark_price

WARM_UP_SECONDS = 3
"""Load before each measurement: an arm that has waited for its turn has to wake up."""
FIRST_WARM_UP_ROUNDS = 2
"""Rounds of load before the first measurement of an arm: the broker compiles itself as it goes, and spent 2,060 us of
processor an order in the first fifteen seconds at 500/s, 1,650 in the next and 1,400 in the third."""
BODY = b'{"symbol":"AAPL","side":"BUY","kind":"LIMIT","quantity":"1","limit_price":"100.00"}'
TOKEN_SECONDS = 86_400
MARK_SECONDS = 1.0


@contextlib.contextmanager
def arms(stage: Stage) -> Iterator[dict[str, Arm]]:
    """All three doors are open the whole time; one has the load, the others wait."""
    with ExitStack() as exits:
        gateway, pids = _tapeline(stage, exits)
        looped, loop_pids = _textbook(stage, exits)
        library, library_pids = _library(stage, exits)
        accounts = trading.accounts(_orders(stage.sizes))
        tokens = _tokens(stage, accounts)
        run(lambda: _opened(stage, accounts))
        peers = trading.accounts(_orders(stage.sizes))
        warm: set[int] = set()

        def ours(number: int) -> bytes:
            account = accounts[number % len(accounts)]
            return _post(account, f"Authorization: Bearer {tokens[account]}\r\nIdempotency-Key: {uuid.uuid4()}\r\n")

        def theirs(number: int) -> bytes:
            return _post(peers[number % len(peers)], "")

        yield {
            "tapeline": lambda: _loaded(stage, gateway, ours, pids, warm),
            "textbook loop": lambda: _loaded(stage, looped, theirs, loop_pids, warm),
            "eventsourcing on Postgres": lambda: _loaded(stage, library, theirs, library_pids, warm),
        }


def _tapeline(stage: Stage, exits: ExitStack) -> tuple[int, dict[str, int]]:
    """Everything on the road of a POST: broker, database, deciders, gateway; nothing that comes after."""
    door = port()
    env = {
        "TAPELINE_KAFKA": stage.kafka.bootstrap,
        "TAPELINE_POSTGRES": stage.database(),
        "TAPELINE_STATE_DIR": str(stage.folder),
        "TAPELINE_GATEWAY_PORT": str(door),
        "TAPELINE_LOG_LEVEL": "WARNING",
    }
    subprocess.run([sys.executable, "main.py", "prepare"], env={**os.environ, **env}, cwd=ROOT, check=True)
    probe = port()
    deciders = exits.enter_context(stage.main("deciders", {**env, "TAPELINE_METRICS_PORT": str(probe)}, probe))
    gateway = exits.enter_context(stage.main("gateway", env, door))
    return door, {"kafka": stage.kafka.pid or 0, "deciders": deciders, "gateway": gateway}


def _textbook(stage: Stage, exits: ExitStack) -> tuple[int, dict[str, int]]:
    context, door = stage.context().context, port()
    loop = exits.enter_context(stage.process("tests.bench.textbook", stage.kafka.bootstrap, context))
    loop.line()
    child = exits.enter_context(
        stage.process("tests.bench.peer_door", "textbook", str(door), stage.kafka.bootstrap, context)
    )
    child.line()
    return door, {"kafka": stage.kafka.pid or 0, "loop": loop.process.pid, "door": child.process.pid}


def _library(stage: Stage, exits: ExitStack) -> tuple[int, dict[str, int]]:
    door = port()
    child = exits.enter_context(stage.process("tests.bench.peer_door", "library", str(door), stage.database(), "none"))
    child.line()
    return door, {"door": child.process.pid}


def _tokens(stage: Stage, accounts: Sequence[str]) -> dict[str, str]:
    mint = Mint(stage.folder)
    return {
        account: mint.mint(
            tenant="acme", sub="bench", account_id=account, scopes=(Scope.TRADE, Scope.READ), ttl_s=TOKEN_SECONDS
        )
        for account in accounts
    }


async def _opened(stage: Stage, accounts: Sequence[str]) -> None:
    """What the sagas would send, so that every account may trade."""
    sender = Sender(stage.kafka.bootstrap, "bench-opening")
    opening = [issued for account in accounts for issued in trading.opening(account, wall())]
    await sender.send_all(commands.topic_of("orders"), [commands.outgoing(stage.codec, each) for each in opening])
    await sender.close()


def _orders(sizes: Sizes) -> int:
    """All orders that one arm is sent."""
    rounds = sizes.rounds * (sizes.seconds + WARM_UP_SECONDS) + FIRST_WARM_UP_ROUNDS * sizes.seconds
    return sizes.rate * rounds


def _loaded(stage: Stage, door: int, request: Callable[[int], bytes], pids: dict[str, int], warm: set[int]) -> Measured:
    """One round at a door; at its first time it is warmed up for longer."""
    warm_up = WARM_UP_SECONDS if door in warm else FIRST_WARM_UP_ROUNDS * stage.sizes.seconds
    warm.add(door)
    return run(lambda: _measured(stage, door, request, pids, warm_up))


async def _measured(
    stage: Stage, door: int, request: Callable[[int], bytes], pids: dict[str, int], warm_up_s: int
) -> Measured:
    rate, seconds = stage.sizes.rate, stage.sizes.seconds
    is_over = asyncio.Event()
    marking = asyncio.create_task(_marks(stage, is_over))
    await asyncio.sleep(MARK_SECONDS)  # The first mark is on the gateway's board before anybody orders.
    warm = await Load(door, request).run(rate, warm_up_s)
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    answered = await Load(door, request).run(rate, seconds, first=int(rate * warm_up_s))
    used = {f"{name}_cpu_us": (cpu_s(pid) - before[name]) / (rate * seconds) * 1e6 for name, pid in pids.items()}
    is_over.set()
    await marking
    assert answered.good, f"nobody was answered: {answered.statuses} after {warm.statuses}"
    return answered.measured(seconds) | used


async def _marks(stage: Stage, is_over: asyncio.Event) -> None:
    """A market that stands open: a mark a second in every partition."""
    sender, sequence = Sender(stage.kafka.bootstrap, "bench-marks"), int(wall() // 1_000_000)
    while not is_over.is_set():
        mark = Mark(
            sequence=sequence,
            market_time=Micros(1_330_966_800_000_000),
            session_date="2012-03-05",
            phase=Phase.OPEN,
            observed_at=wall(),
            is_complete=True,
            prices={"AAPL": mark_price("100.00")},
        )
        for number in range(PARTITIONS):
            await sender.send("market_data.marks", b"", stage.codec.encode_observed(mark), {}, number)
        sequence += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), MARK_SECONDS)
    await sender.close()


def _post(account: str, headers: str) -> bytes:
    head = (
        f"POST /v1/accounts/{account}/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


acknowledge = Figure(
    name="acknowledge",
    title="POST of an order to its durable, read-back acknowledgement",
    conditions="open loop, HTTP on the loopback without TLS, one broker with flush.messages=1; road of a POST only",
    arms=arms,
    reaches=(
        Reach(what="p50 in ms <= 12", of="p50_ms", at_most=12),
        Reach(what="p99 in ms <= 60", of="p99_ms", at_most=60),
        Reach(what="p50 times below the textbook loop >= 10", of="p50_ms", at_least=10, peer="textbook loop"),
    ),
)
