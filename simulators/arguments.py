"""Command-line values with bounds; argparse shows the message when one is outside."""

import argparse
from collections.abc import Callable
from pathlib import Path


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from `least` on."""

    def whole_number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}: {text}")
        return int(text)

    return whole_number


def probability(text: str) -> float:
    """A share of all cases, 0 to 1."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1: {text}")
    return float(text)


def secret(text: str) -> str:
    """A secret as it stands, or the text of the file after an @, so that no process list shows it."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text().strip()
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{error.strerror}: {text[1:]}") from error
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text
