"""`python -m simulators.onfido`: a KYC vendor that speaks Onfido's API v3.6 and answers by signed webhook.

The last word of an applicant's last name decides: Consider, Declined, Abandoned, Error, Waiting; others are approved.
"""

import argparse
import asyncio
from dataclasses import fields
from pathlib import Path

from aiohttp import web

from simulators import arguments, processes
from simulators.onfido.misbehaviour import Dice, Misbehaviour
from simulators.onfido.notices import Notices
from simulators.onfido.records import Records
from simulators.onfido.server import Vendor, is_address

PROCESSING_MS = 200
"""A real vendor takes seconds to minutes."""
RETRY_MS = 500
"""Pause before the second try of a webhook; each later one is twice as long."""


def main() -> None:
    """Parse, recall, open the door."""
    args = _parsed()
    processes.log_to_stderr()
    asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> None:
    records = Records(args.journal)
    dice = Dice(Misbehaviour(**{field.name: getattr(args, field.name) for field in fields(Misbehaviour)}), args.seed)
    notices = Notices(records, dice, args.webhook_url, args.webhook_secret, args.retry_ms)
    vendor = Vendor(records, notices, dice, args.token, args.processing_ms)
    runner = web.AppRunner(vendor.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, args.host, args.port).start()
    host, port = runner.addresses[0][:2]
    records.base = f"http://{host}:{port}"
    vendor.resume()
    processes.say_ready("onfido", host, port)
    await processes.until_told()
    await vendor.close()
    await runner.cleanup()
    records.close()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.onfido", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7003, help="0 takes a free one; the ready line names it")
    parser.add_argument("--token", type=arguments.secret, required=True, help="the API token, or @FILE that holds it")
    parser.add_argument("--webhook-url", type=_address, required=True, help="where notices are sent")
    parser.add_argument(
        "--webhook-secret", type=arguments.secret, required=True, help="what notices are signed with, or @FILE"
    )
    parser.add_argument("--journal", type=Path, help="appended to, recalled at start; without it all is forgotten")
    parser.add_argument("--processing-ms", type=arguments.at_least(0), default=PROCESSING_MS, help="until an outcome")
    parser.add_argument(
        "--retry-ms", type=arguments.at_least(1), default=RETRY_MS, help="before a webhook's second try"
    )
    bad = parser.add_argument_group("misbehaviour, a probability each; changed at PUT /_simulator/misbehaviour")
    bad.add_argument("--duplicate", type=arguments.probability, default=0.0, help="an accepted notice comes again")
    bad.add_argument("--lost", type=arguments.probability, default=0.0, help="a notice never comes")
    bad.add_argument("--wrong-signature", type=arguments.probability, default=0.0, help="a try is signed wrongly")
    bad.add_argument("--late", type=arguments.probability, default=0.0, help="a notice comes late")
    bad.add_argument("--late-ms", type=arguments.at_least(0), default=2_000, help="so late")
    bad.add_argument("--reorder", type=arguments.probability, default=0.0, help="a notice lets the next one go first")
    bad.add_argument("--too-many", type=arguments.probability, default=0.0, help="a request is answered 429")
    bad.add_argument("--fail", type=arguments.probability, default=0.0, help="5xx, half of them after the deed")
    bad.add_argument("--slow", type=arguments.probability, default=0.0, help="a request waits")
    bad.add_argument("--slow-ms", type=arguments.at_least(0), default=2_000, help="so long")
    bad.add_argument("--seed", type=int, default=1, help="another seed, other misbehaviour")
    return parser.parse_args()


def _address(text: str) -> str:
    if not is_address(text):
        raise argparse.ArgumentTypeError(f"must be an http address: {text}")
    return text


if __name__ == "__main__":
    main()
