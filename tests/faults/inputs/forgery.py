"""What a forgery is, and the two ways in which most are made: by another's key, or by ours over wrong claims."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from tests.faults.inputs.crafting import Crafter, token

Make = Callable[[Crafter, Random], str]
NESTED = 1_300
"""Brackets that fit a token and are deeper than Python's reader of JSON goes."""


class Forgery(msgspec.Struct, frozen=True):
    """One kind; the server itself turns away a head that is larger than it reads, before any door."""

    name: str
    make: Make
    is_huge: bool = False


def by_another(header: Any, claims: Any) -> Make:
    """Signed by another's key."""
    return lambda crafter, _: token(_value(header, crafter), _value(claims, crafter), crafter.strange)


def by_us(claims: Any, header: Any = None) -> Make:
    """Signed by our key: only what is said is wrong."""

    def make(crafter: Crafter, _: Random) -> str:
        return token(_value(header, crafter) or crafter.header(), _value(claims, crafter), crafter.ours)

    return make


def _value(given: Any, crafter: Crafter) -> Any:
    return given(crafter) if callable(given) else given
