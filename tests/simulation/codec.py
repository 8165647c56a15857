"""The real codec, which looks at the same bytes once: a history has a dozen readers of every record."""

from collections.abc import Iterable

from domain.kernel.messages import Command, Event, Issued, Recorded
from infra.avro.codec import Codec

KEPT_MAX = 20_000
"""Records kept; those of one history."""


class SharedCodec(Codec):
    """What was decoded is immutable, so that readers may share it."""

    def __init__(self, messages: Iterable[type]) -> None:
        super().__init__(messages)
        self._events: dict[bytes, Recorded[Event]] = {}
        self._commands: dict[bytes, Issued[Command]] = {}

    def decode_event(self, value: bytes) -> Recorded[Event]:
        found = self._events.get(value)
        if found is None:
            found = super().decode_event(value)
            self._events[value] = found
        return found

    def decode_command(self, value: bytes) -> Issued[Command]:
        found = self._commands.get(value)
        if found is None:
            found = super().decode_command(value)
            self._commands[value] = found
        return found

    def forget(self) -> None:
        """A new history begins."""
        self._events.clear()
        self._commands.clear()
