"""A data key in the clear <-> the same key wrapped: what sealing asks of a key service, and how one may say no.

Who holds a wrapped key holds nothing without the key service. The context is bound to the wrapped key: unwrapping under
another one is refused. `tests/contracts/test_key_port.py` is the port's suite.
"""

from collections.abc import Mapping
from typing import Protocol

DATA_KEY_BYTES = 32
"""Data keys are for AES-256."""


class KeyPort(Protocol):
    """A master key that never leaves its place."""

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """This data key, readable by `unwrap` alone."""

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key again. Raises KeyRefused when it was wrapped by another, for another, or changed since."""


class KeyRefused(Exception):
    """The key service says no, and will say so again; the message names the remedy and no key."""


class KeysUnavailable(Exception):
    """The key service cannot be reached or is busy: the same call may work later."""
