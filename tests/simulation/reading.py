"""Records as the auditor reads them: by the published schemas and fastavro alone, none of the product's code."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro

PUBLISHED = Path(__file__).resolve().parents[2] / "schemas" / "published"
FRAME_BYTES = 5


class Reading:
    """Schemas that were met, by their ids."""

    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, Any]] = {}

    def read(self, value: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The name of the message, its metadata, its fields."""
        number = int.from_bytes(value[1:FRAME_BYTES])
        if number not in self._schemas:
            text = json.loads((PUBLISHED / f"{number}.avsc").read_text())
            self._schemas[number] = (text["name"], fastavro.parse_schema(_plain(text)))
        name, schema = self._schemas[number]
        body = io.BytesIO(value)
        body.seek(FRAME_BYTES)
        fields: Any = fastavro.schemaless_reader(body, schema, None)
        return name, fields.pop("meta", {}), fields


def _plain(schema: Any) -> Any:
    """Amounts and times as the integers that they are."""
    if isinstance(schema, dict):
        return {
            name: _plain(each) for name, each in schema.items() if name not in ("logicalType", "scale", "precision")
        }
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
