"""One record of the tape with everything that proves it, as one JSON file that needs neither us nor our servers."""

import msgspec

from domain.audit import merkle, note
from domain.audit.checkpoint import Checkpoint, TreeName
from domain.audit.merkle import Nodes, ProofRefused
from domain.audit.note import Verifier

FORMAT = "tapeline-proof/1"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Key, value and path are base64 in JSON; `index` is the record's place in its partition, from 0."""

    format: str = FORMAT
    topic: str
    partition: int
    index: int
    key: bytes
    value: bytes
    size: int
    path: list[bytes]
    checkpoint: str
    vkey: str


def prove(
    *, tree: TreeName, index: int, key: bytes, value: bytes, nodes: Nodes, signed: str, verifier: Verifier
) -> Bundle:
    """The bundle for a record under a signed checkpoint; refuses one that would not verify."""
    head = Checkpoint.parse(note.verified(signed, verifier)).head(tree)
    if index >= head.size:
        raise ProofRefused(f"{tree} leaf {index} is not signed yet: the newest checkpoint has {head.size} leaves")
    path = merkle.inclusion_proof(index, head.size, nodes)
    merkle.verify_inclusion(index, head.size, merkle.record_hash(key, value), path, head.root)
    return Bundle(
        topic=tree.topic,
        partition=tree.partition,
        index=index,
        key=key,
        value=value,
        size=head.size,
        path=path,
        checkpoint=signed,
        vkey=verifier.vkey(),
    )


def to_json(bundle: Bundle) -> bytes:
    """The file, indented, since people look into it."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n"
