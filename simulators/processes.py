"""What both programs do as processes: log to stderr, say on stdout when they are ready, leave cleanly on SIGTERM."""

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine


def log_to_stderr() -> None:
    """Stdout belongs to the ready line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")


def say_ready(name: str, host: str, port: int) -> None:
    """The line that whoever started us waits for: `market ready on 127.0.0.1:7001`."""
    sys.stdout.write(f"{name} ready on {host}:{port}\n")
    sys.stdout.flush()


async def until_told(*jobs: Coroutine[object, object, None]) -> None:
    """Run these jobs until SIGTERM or SIGINT, or until one of them fails, which then fails the process."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    tasks = {asyncio.ensure_future(job) for job in (*jobs, _wait(told))}
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


async def _wait(told: asyncio.Event) -> None:
    await told.wait()
