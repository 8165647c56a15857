"""Poison -> <topic>.dead: what could not be used, with its cause and its place; nothing is lost, nothing is blocked.

Written outside any transaction; the id follows from the source's position, so a repeat is recognised.
"""

from domain.kernel.ids import derived
from infra import telemetry
from infra.kafka.records import Arrived
from infra.kafka.sender import Sender
from infra.settings import DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_IN_A_ROW_MAX

ORIGINAL = "original."
"""Begins the names of the headers that the record itself had, so that it can be sent again as it was."""
log = telemetry.logger("dead-letters")


class TooManyDead(Exception):
    """So many poison records in a row that their producer must be looked at first."""


class DeadLetters:
    """Buries records; `used` tells it that a good one came between."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._in_a_row = 0

    async def bury(self, arrived: Arrived, cause: str, detail: str) -> None:
        """Write one record to the dead letters of its topic; returns when it is there."""
        self._in_a_row += 1
        if self._in_a_row > DEAD_LETTERS_IN_A_ROW_MAX:
            raise TooManyDead(f"{arrived.topic}: {self._in_a_row} unusable records in a row; find their producer first")
        source = f"{arrived.topic}|{arrived.partition}|{arrived.offset}"
        headers = {f"{ORIGINAL}{name}": value for name, value in arrived.headers.items()}
        headers |= {
            "id": derived("dead", source).encode(),
            "cause": cause.encode(),
            "detail": detail.encode()[:1_000],
            "source": source.encode(),
            "bytes": str(len(arrived.value)).encode(),
        }
        await self._sender.send(f"{arrived.topic}.dead", arrived.key, arrived.value[:DEAD_LETTER_BYTES_MAX], headers)
        telemetry.DEAD_LETTERS.labels(arrived.topic, cause).inc()
        command = arrived.headers.get("command-id", b"").decode(errors="replace")
        log.warning(
            "dead letter", cause=cause, source=source, detail=detail, **({"command_id": command} if command else {})
        )

    def used(self) -> None:
        """A record was good: the row of bad ones is broken."""
        self._in_a_row = 0
