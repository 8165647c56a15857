"""Which topics there are: derived from the rows of `contexts.py`, created before anything runs, drift refused."""

from collections.abc import Iterable, Iterator

import msgspec

from infra.kafka.topics import FOREVER_MS, TopicSpec
from infra.settings import COMMAND_BYTES_MAX, PARTITIONS

DAY_MS = 86_400_000
COMMAND_DAYS = 7
"""Days that a command is kept: its event stands for it, the digest proves what was asked."""
DEAD_LETTER_DAYS = 30
"""Days that a dead letter is kept: long enough for somebody to repair its producer and send it again."""


class Feed(msgspec.Struct, frozen=True):
    """A topic of what the outside said: `days` of retention (None is for ever), flushed record by record or not.

    A feed that `is_whole` has the same records in every partition and no key.
    """

    name: str
    message: type
    days: int | None = None
    is_flushed: bool = True
    is_whole: bool = False


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A topic, what it is keyed by (nothing, when it stands whole in every partition), and the messages in it."""

    spec: TopicSpec
    key: str
    messages: tuple[type, ...]


def deciding(context: str) -> Iterator[TopicSpec]:
    """The topics of a context that decides: commands in, events out, its dead letters and its snapshots."""
    yield TopicSpec(
        name=f"{context}.commands",
        partitions=PARTITIONS,
        retention_ms=COMMAND_DAYS * DAY_MS,
        max_message_bytes=COMMAND_BYTES_MAX,
    )
    yield TopicSpec(name=f"{context}.events", partitions=PARTITIONS)
    yield TopicSpec(name=f"{context}.snapshots", partitions=PARTITIONS, cleanup="compact")
    yield dead_letters(f"{context}.commands")


def fed(context: str, feeds: Iterable[Feed]) -> Iterator[TopicSpec]:
    """The feeds of a context, and the dead letters of each."""
    for feed in feeds:
        retention_ms = FOREVER_MS if feed.days is None else feed.days * DAY_MS
        name = f"{context}.{feed.name}"
        yield TopicSpec(name=name, partitions=PARTITIONS, flush_each=feed.is_flushed, retention_ms=retention_ms)
        yield dead_letters(name)


def dead_letters(topic: str) -> TopicSpec:
    """Where the unusable records of a topic go."""
    return TopicSpec(name=f"{topic}.dead", partitions=PARTITIONS, retention_ms=DEAD_LETTER_DAYS * DAY_MS)
