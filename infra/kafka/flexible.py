"""How a request of Kafka's flexible versions is laid out in aiokafka's schema language, for those that it has not.

Every structure of such a version ends with tagged fields, and every array and text is compact.
"""

from typing import Any

from aiokafka.protocol.types import CompactArray, CompactString, Schema, TaggedFields

TEXT = CompactString("utf-8")
TAGS = ("tags", TaggedFields)
NO_TAGS: dict[int, bytes] = {}


def structure(*fields: tuple[str, Any]) -> Schema:
    """The fields of a request or an answer."""
    return Schema(*fields, TAGS)


def array(name: str, *fields: tuple[str, Any]) -> tuple[str, CompactArray]:
    """A field that holds many structures."""
    return name, CompactArray(*fields, TAGS)
