"""`python -m simulators.market`: play real days of 2012 and 2013 as a live market on a TCP port."""

import argparse
import asyncio
import logging
from collections.abc import Sequence
from datetime import date

from simulators import arguments, processes
from simulators.market import bridge, days, timeline
from simulators.market.clients import LINES_MAX
from simulators.market.days import Session
from simulators.market.server import Market

SPEED = 1400.0
"""Market seconds in one wall second: morning, day and evening (27,900 s) take twenty wall seconds."""
STEPS_PER_DAY = 390 * 4
"""A quote of each symbol every fifteen market seconds."""

log = logging.getLogger("market")


def main() -> None:
    """Parse, read the days, play."""
    args = _parsed()
    processes.log_to_stderr()
    asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> None:
    market = Market(speed=args.speed, lines_max=args.client_lines)
    server = await market.serve(args.host, args.port)
    host, port = server.sockets[0].getsockname()[:2]
    processes.say_ready("market", host, port)
    await processes.until_told(_play(market, args))
    server.close()
    market.close()


async def _play(market: Market, args: argparse.Namespace) -> None:
    known: list[Session] = days.sessions(args.symbols, args.start)
    first, lap = 0, 1
    if args.wait_for_clients:
        opening = next(timeline.moments(known[: args.days], seed=args.seed, steps=args.steps_per_day))
        await market.wait_for_clients(args.wait_for_clients, opening.clock)
    while True:
        played = known[first : first + args.days]
        log.info("playing %s to %s, lap %d", played[0].date, played[-1].date, lap)
        await market.play(timeline.moments(played, seed=args.seed, steps=args.steps_per_day, lap=lap))
        if not args.loop:
            break
        first += args.days
        if first >= len(known):
            first, lap = 0, lap + 1
            log.warning("the data ends: going back to %s, market time goes back with it", known[0].date)
    market.end()
    await market.stand_still()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.market", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7001, help="0 takes a free one; the ready line names it")
    names = ",".join(days.SYMBOLS)
    parser.add_argument("--symbols", type=_symbols, default=days.SYMBOLS, help=f"comma-separated, of {names}")
    parser.add_argument("--start", type=date.fromisoformat, default=days.FIRST_DAY, help="first date, YYYY-MM-DD")
    parser.add_argument("--days", type=arguments.at_least(1), default=5, help="market days until the end")
    parser.add_argument("--speed", type=_speed, default=SPEED, help="market seconds per wall second")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other ways between the same four prices")
    parser.add_argument("--steps-per-day", type=arguments.at_least(bridge.STEPS_MIN), default=STEPS_PER_DAY)
    parser.add_argument(
        "--wait-for-clients",
        type=arguments.at_least(0),
        default=0,
        help="so many must listen before the first day begins",
    )
    parser.add_argument(
        "--client-lines", type=arguments.at_least(1), default=LINES_MAX, help="lines a client may be behind"
    )
    parser.add_argument("--loop", action="store_true", help="go on with the days that follow, for ever")
    return parser.parse_args()


def _symbols(text: str) -> Sequence[str]:
    symbols = tuple(symbol.strip().upper() for symbol in text.split(","))
    unknown = [symbol for symbol in symbols if symbol not in days.SYMBOLS]
    if unknown or len(set(symbols)) < len(symbols):
        raise argparse.ArgumentTypeError(f"name each once, of {', '.join(days.SYMBOLS)}: {text}")
    return symbols


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 10**6:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1000000: {text}")
    return speed


if __name__ == "__main__":
    main()
