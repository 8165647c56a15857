"""Schemas -> an Apicurio Registry by its own API: first the archive of texts, ids and all, then what stands where.

Apicurio takes `IMPORT` as a mode but numbers by itself, and has two texts that differ in their docs alone for one. What
it imports keeps its id, and a version whose text is byte for byte an imported one gets that id.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.avro import contracts
from infra.avro.contracts import LockedSchema

CCOMPAT = "/apis/ccompat/"
"""What stands in the URL of an Apicurio's Confluent-compatible half, and in no other."""
IMPORT = "/apis/registry/v3/admin/import?requireEmptyRegistry=false"
IMPORT_HEADERS = {
    "Content-Type": "application/zip",
    "X-Registry-Preserve-GlobalId": "true",
    "X-Registry-Preserve-ContentId": "true",
}
VERSIONS = "/apis/registry/v3/groups/default/artifacts?ifExists=CREATE_VERSION"
VERSIONS_HEADERS = {"Content-Type": "application/json"}
_MANIFEST = {"systemName": "Tapeline", "systemVersion": "3.0.0", "exportVersion": "3.0", "exportedOn": 0}
"""The version is Apicurio's: by it the importer knows which fields to expect."""

Json = dict[str, Any]


def archive(entries: Iterable[LockedSchema], root: Path) -> bytes:
    """These texts, each under its id."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archived:
        archived.writestr("tapeline.Manifest.json", json.dumps(_MANIFEST))
        for entry in entries:
            text = _text(entry, root)
            digest = hashlib.sha256(text.encode()).hexdigest()
            told = {"contentId": entry.id, "contentHash": digest, "canonicalHash": digest, "artifactType": "AVRO"}
            archived.writestr(f"content/{digest}.Content.json", json.dumps({**told, "contentType": "application/json"}))
            archived.writestr(f"content/{digest}.Content.data", text)
    return out.getvalue()


def version(entry: LockedSchema, subject: str, number: int, root: Path) -> Json:
    """The request for a version of a subject with this text."""
    content = {"content": _text(entry, root), "contentType": "application/json"}
    return {
        "artifactId": subject,
        "artifactType": "AVRO",
        "firstVersion": {"version": str(number), "content": content},
    }


def _text(entry: LockedSchema, root: Path) -> str:
    return json.dumps(contracts.published(entry, root))
