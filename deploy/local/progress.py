"""Lines of a starting stack -> a person: a moving line on a terminal, plain lines everywhere else."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

PASSING = (": starting", ": preparing", ": stopped")
"""Ends of lines that only tell what is under way; all others are worth keeping."""


def line(text: str) -> None:
    """One plain line, at once: others read our output while it grows."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


@contextlib.contextmanager
def shown(title: str) -> Iterator[Callable[[str], None]]:
    """Take lines as they come: what is under way moves at the bottom, what is ready stays."""
    console = Console(stderr=False)
    if not sys.stdout.isatty():
        yield lambda text: print(text, flush=True)
        return
    with console.status(title) as status:

        def show(text: str) -> None:
            if text.endswith(PASSING):
                status.update(text)
            else:
                console.print(Text(text))

        yield show
