"""A program and its arguments -> the same process, imported and ready to begin, that begins at a signal.

`python -m deploy.local.spare main.py run deciders`: most of a start is reading code, which can be done before it is
needed. It opens nothing, connects to nothing and owns nothing until SIGUSR1; `process.py` starts it and gives the word.
"""

import contextlib
import importlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

WORD = signal.SIGUSR1


def command() -> tuple[str, ...]:
    """What goes before the program and its arguments."""
    return (sys.executable, "-m", "deploy.local.spare")


@contextlib.contextmanager
def word_kept() -> Iterator[None]:
    """A process that is started in here keeps the word until it waits for it, however early the word comes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {WORD})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main() -> None:
    """Import, wait, begin."""
    program = importlib.import_module(Path(sys.argv[1]).stem)
    signal.sigwait({WORD})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {WORD})
    sys.argv = sys.argv[1:]
    program.app()


if __name__ == "__main__":
    main()
