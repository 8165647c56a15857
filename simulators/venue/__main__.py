"""`python -m simulators.venue`: a paper venue with an order book of its own, fed by the market simulator."""

import argparse
import asyncio
import secrets
from pathlib import Path

from aiohttp import web

from simulators import arguments, processes
from simulators.venue import market
from simulators.venue.back_office import BackOffice
from simulators.venue.delivery import Misbehaviour
from simulators.venue.journal import Journal
from simulators.venue.server import Floor
from simulators.venue.venue import Venue

SYMBOLS = "AAPL,GOOG,IBM,MSFT,FB"


def main() -> None:
    """Parse, recall, open the doors."""
    args = _parsed()
    processes.log_to_stderr()
    asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> None:
    journal = Journal(args.journal, birth=secrets.token_hex(4))
    venue = Venue(journal.born, tuple(args.symbols.split(",")))
    bad = Misbehaviour(args.duplicate, args.reorder, args.drop_connection, args.delay_ms)
    back_office = BackOffice(args.journal.with_suffix(".copies"), journal.born)
    floor = Floor(venue, journal, back_office, bad, args.seed)
    runner = web.AppRunner(floor.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, args.host, args.port).start()
    processes.say_ready("venue", *runner.addresses[0][:2])
    host, _, port = args.market.rpartition(":")
    await processes.until_told(market.listen(host, int(port), floor))
    await runner.cleanup()
    back_office.close()
    journal.close()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.venue", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7002, help="0 takes a free one; the ready line names it")
    parser.add_argument("--market", default="127.0.0.1:7001", help="host:port of the market simulator")
    parser.add_argument(
        "--journal", type=Path, default=Path(".tapeline/venue.journal"), help="appended to, recalled at start"
    )
    parser.add_argument("--symbols", default=SYMBOLS, help="comma-separated; all others are rejected")
    bad = parser.add_argument_group("misbehaviour of the delivery, per message; journal and drop copy stay true")
    bad.add_argument("--duplicate", type=arguments.probability, default=0.0, help="send twice")
    bad.add_argument("--reorder", type=arguments.probability, default=0.0, help="swap with the next")
    bad.add_argument("--drop-connection", type=arguments.probability, default=0.0, help="hang up after it")
    bad.add_argument("--delay-ms", type=arguments.at_least(0), default=0, help="wait up to so long before it")
    bad.add_argument("--seed", type=int, default=1, help="another seed, other misbehaviour")
    return parser.parse_args()


if __name__ == "__main__":
    main()
