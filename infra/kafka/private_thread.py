"""Blocking librdkafka calls -> one thread of their own -> the loop that awaits them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class PrivateThread:
    """Runs calls one after another, as they were asked for: its client is touched by no other thread."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Start the call; a caller who is cancelled does not stop it."""
        return asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def stop(self) -> None:
        """Take no more calls; the one under way ends in its own time."""
        self._pool.shutdown(wait=False)
