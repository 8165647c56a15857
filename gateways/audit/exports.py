"""A range of the tape -> NDJSON with its proofs, one record a line under one checkpoint, and such a file -> yes or no.

The proofs are checked by the lone verifier, `verify.py`, as anybody else does it. What a line shows of its event in
words is not under any hash; here, where the contracts are known, it is held against the record itself.
"""

import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from domain.audit import bundle
from domain.audit.checkpoint import TreeName
from domain.kernel.messages import Recorded
from gateways.audit import verify
from gateways.audit.evidence import Evidence
from gateways.views import Shown, event_shown
from projections.audit.forest import EVENTS

PROVED = ("topic", "partition", "index", "size", "key", "value", "path")
"""What a line says of its record; the checkpoint, common to all, stands in the head."""

Decode = Callable[[bytes], Recorded[Any]]


async def lines(
    evidence: Evidence, tree: TreeName, first: int, last: int, decode: Decode
) -> AsyncGenerator[bytes, None]:
    """The head, then the records from `first` to `last`."""
    signed = evidence.newest()
    head = {"format": bundle.FORMAT, "checkpoint": signed, "vkey": evidence.verifier.vkey()}
    yield msgspec.json.encode(head | {"first": first, "last": last}) + b"\n"
    async with aclosing(evidence.records(tree, first, last + 1)) as records:
        async for index, record in records:
            made = evidence.prove(tree, index, record, signed)
            line: dict[str, Any] = {name: getattr(made, name) for name in PROVED}
            line["event"] = _shown(tree.topic, record.value, decode)
            yield msgspec.json.encode(line) + b"\n"


def check_words(text: str, decode: Decode) -> None:
    """Hold what an export that was verified says of events in words against its records; raises verify.Failed."""
    for number, line in enumerate(text.splitlines()[1:], start=2):
        told = json.loads(line)
        value = base64.b64decode(told["value"])
        if told.get("event") != json.loads(msgspec.json.encode(_shown(told["topic"], value, decode))):
            where = f"{told['topic']}/{told['partition']}/{told['index']}"
            raise verify.Failed(verify.NOT_INCLUDED, f"line {number}, {where}: `event` is not what the record says")


def _shown(topic: str, value: bytes, decode: Decode) -> Shown | None:
    return event_shown(decode(value)) if topic.endswith(EVENTS) else None
