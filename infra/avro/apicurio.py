"""Schemas -> the archive that Apicurio Registry imports, ids and all.

Apicurio takes `IMPORT` as a mode but numbers by itself, and has two texts that differ in their docs alone for one. Its
own archive (one file per content, artifact and version) names every id, so that nothing is left to it.
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
HEADERS = {
    "Content-Type": "application/zip",
    "X-Registry-Preserve-GlobalId": "true",
    "X-Registry-Preserve-ContentId": "true",
}
SUBJECTS_MAX = 1_000
"""Topics that one text stands in: its versions' global ids are its id times this, and then counted."""
_MANIFEST = {"systemName": "Tapeline", "systemVersion": "3.0.0", "exportVersion": "3.0", "exportedOn": 0}
"""The version is Apicurio's: by it the importer knows which fields to expect."""
_NOBODY = {"owner": "", "createdOn": 0, "modifiedBy": "", "modifiedOn": 0}

Json = dict[str, Any]


def archive(missing: Iterable[tuple[LockedSchema, str, int]], root: Path) -> bytes:
    """These versions of these subjects, and the texts behind them."""
    out = io.BytesIO()
    versions: dict[str, list[int]] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archived:
        _write(archived, "tapeline.Manifest.json", _MANIFEST)
        texts: set[int] = set()
        for entry, subject, version in missing:
            if entry.id not in texts:
                texts.add(entry.id)
                _write_text(archived, entry, root)
            if subject not in versions:
                named = {"groupId": None, "artifactId": subject, "artifactType": "AVRO", **_NOBODY}
                _write(archived, f"groups/default/artifacts/{subject}/MetaData.Artifact.json", named)
            versions.setdefault(subject, []).append(version)
            _write(archived, _place(subject, version), _version(entry, subject, version))
        for subject, numbers in versions.items():
            _write(
                archived, f"groups/default/artifacts/{subject}/branches/latest.Branch.json", _latest(subject, numbers)
            )
    return out.getvalue()


def _write_text(archived: zipfile.ZipFile, entry: LockedSchema, root: Path) -> None:
    text = json.dumps(contracts.published(entry, root))
    digest = hashlib.sha256(text.encode()).hexdigest()
    told = {"contentId": entry.id, "contentHash": digest, "canonicalHash": digest, "artifactType": "AVRO"}
    _write(archived, f"content/{digest}.Content.json", {**told, "contentType": "application/json"})
    archived.writestr(f"content/{digest}.Content.data", text)


def _version(entry: LockedSchema, subject: str, version: int) -> Json:
    return {
        "globalId": entry.id * SUBJECTS_MAX + entry.subjects.index(subject),
        "groupId": None,
        "artifactId": subject,
        "version": str(version),
        "versionOrder": version,
        "state": "ENABLED",
        "contentId": entry.id,
        **_NOBODY,
    }


def _latest(subject: str, versions: list[int]) -> Json:
    named = {"groupId": None, "artifactId": subject, "branchId": "latest", "systemDefined": True, **_NOBODY}
    return {**named, "versions": [str(version) for version in range(1, max(versions) + 1)]}


def _place(subject: str, version: int) -> str:
    return f"groups/default/artifacts/{subject}/versions/{version}.ArtifactVersion.json"


def _write(archived: zipfile.ZipFile, name: str, told: Json) -> None:
    archived.writestr(name, json.dumps(told))
