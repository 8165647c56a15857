"""<topic>.dead: what was set aside, and sending it again exactly as it was."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from infra.kafka.dead_letters import ORIGINAL
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived
from infra.kafka.sender import Sender
from infra.settings import POLL_WAIT_MS

READ_MAX = 1_000
"""Dead letters read together."""


class NotRedriven(ValueError):
    """The dead letter cannot be sent again; the text says why."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was set aside, key and value as they came. `source` is the original's tape position."""

    id: str
    cause: str
    detail: str
    source: str
    size: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


def shown(letter: DeadLetter) -> dict[str, str | int]:
    """As a person reads it: bytes as text where they are printable text, else in hexadecimal, which says so."""
    return {
        "id": letter.id,
        "cause": letter.cause,
        "detail": letter.detail,
        "source": letter.source,
        "size": letter.size,
        "kept": len(letter.value),
        "key": _readable(letter.key),
        "value": _readable(letter.value),
        **{f"headers.{name}": _readable(value) for name, value in letter.headers.items()},
    }


async def letters(reader: Reader, topics: Sequence[str]) -> AsyncIterator[DeadLetter]:
    """Every dead letter of these topics, the oldest of each partition first; a repeat of one is left out."""
    ends = {(topic, number): end for topic in topics for number, end in (await reader.ends(topic)).items()}
    waiting = {place for place, end in ends.items() if end > 0}
    await reader.assign(dict.fromkeys(waiting, BEGINNING))
    known: set[str] = set()
    while any(reader.position().get(place, 0) < ends[place] for place in waiting):
        for arrived in await reader.take(READ_MAX, POLL_WAIT_MS):
            letter = _letter(arrived)
            if letter.id not in known:
                known.add(letter.id)
                yield letter


async def redrive(sender: Sender, letter: DeadLetter) -> str:
    """Send the original record, headers included, to where it came from; gives the new tape position."""
    if len(letter.value) != letter.size:
        raise NotRedriven(
            f"{letter.id}: only {len(letter.value)} of {letter.size} bytes were kept; read the original at "
            f"{letter.source} and send it with a tool of Kafka's"
        )
    topic, partition, _ = letter.source.rsplit(":", 2)
    headers = {**letter.headers, "redriven-from": letter.id.encode()}
    offset = await sender.send(topic, letter.key, letter.value, headers, int(partition))
    return f"{topic}:{partition}:{offset}"


def _letter(arrived: Arrived) -> DeadLetter:
    text = {name: value.decode(errors="replace") for name, value in arrived.headers.items()}
    return DeadLetter(
        id=text.get("id", ""),
        cause=text.get("cause", ""),
        detail=text.get("detail", ""),
        source=text.get("source", "").replace("|", ":"),  # As `tape inspect` takes it.
        size=int(text.get("bytes", "0") or "0"),
        key=arrived.key,
        value=arrived.value,
        headers={
            name.removeprefix(ORIGINAL): value for name, value in arrived.headers.items() if name.startswith(ORIGINAL)
        },
    )


def _readable(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"hex {value.hex()}"
    return text if text.isprintable() else f"hex {value.hex()}"
