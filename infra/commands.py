"""Commands on their way: the one form that gateways, sagas, agents and effects send them in."""

from collections.abc import Mapping
from typing import Protocol

from domain.kernel.messages import Command, Issued
from infra.avro.codec import Codec
from infra.kafka.records import Outgoing
from infra.telemetry import concerning, logger

TRACE = "traceparent"
log = logger("commands")


class Sends(Protocol):
    """Writes a record and returns when it is acknowledged: `Sender`, or what stands in for it."""

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        partition: int | None = None,
    ) -> int:
        """Write one record and give its offset."""
        ...


def topic_of(context: str) -> str:
    """Where the commands of a context go."""
    return f"{context}.commands"


def outgoing(codec: Codec, issued: Issued[Command], *, digest: bytes = b"", traceparent: bytes = b"") -> Outgoing:
    """The record of a command: keyed by its stream, named in its headers, so that nobody must decode it to know it."""
    headers = {"command-id": issued.command_id.encode(), "digest": digest or codec.digest(issued)}
    if traceparent:
        headers[TRACE] = traceparent
    return Outgoing(issued.stream_id.encode(), codec.encode_command(issued), headers)


async def send(  # noqa: PLR0913  what a command on its way is made of
    sender: Sends, codec: Codec, context: str, issued: Issued[Command], *, digest: bytes = b"", traceparent: bytes = b""
) -> int:
    """One command to its context; returns its offset when it is acknowledged."""
    record = outgoing(codec, issued, digest=digest, traceparent=traceparent)
    with concerning(correlation_id=issued.correlation_id, command_id=issued.command_id):
        offset = await sender.send(topic_of(context), record.key, record.value, record.headers)
        log.debug("command sent", topic=topic_of(context), type=type(issued.command).__name__)
        return offset
