"""Every reader of an events partition checks it: dense numbers, hashes that chain, terms that never fall.

One number, one hash and one term are kept beside the offset. A gap, a fork or a mismatch stops that partition loudly
and names the tape position; nobody guesses.
"""

import hashlib
from typing import Any

import msgspec

from domain.kernel.messages import GENESIS, Recorded


class ChainBroken(Exception):
    """The partition is not the one that was read before; the message names the tape position and the remedy."""


class Link(msgspec.Struct, frozen=True, array_like=True):
    """The last record that was read: its sequence (-1 before the first), the hash of its value, its term."""

    sequence: int = -1
    hash: bytes = GENESIS
    term: int = 0

    def token(self) -> str:
        """As text, to be stored beside an offset."""
        return f"{self.sequence}:{self.term}:{self.hash.hex()}"


def link_from(token: str) -> Link:
    """The link behind a token; an empty token is the beginning."""
    if not token:
        return Link()
    sequence, term, digest = token.split(":")
    return Link(int(sequence), bytes.fromhex(digest), int(term))


def follow(link: Link | None, recorded: Recorded[Any], value: bytes, *, place: object) -> Link:
    """The link after this record; raises ChainBroken, which says `place`. Who began midway has no link yet."""
    if link is not None:
        if recorded.sequence != link.sequence + 1:
            raise _broken(place, f"sequence {recorded.sequence} follows {link.sequence}")
        if recorded.previous != link.hash:
            raise _broken(place, f"previous is not the hash of sequence {link.sequence}")
        if recorded.term < link.term:
            raise _broken(place, f"term {recorded.term} follows {link.term}")
    return Link(recorded.sequence, hashlib.sha256(value).digest(), recorded.term)


def _broken(place: object, what: str) -> ChainBroken:
    return ChainBroken(f"{place}: {what}. Nothing past it was used; see deploy/runbooks/partition-stopped.md")
