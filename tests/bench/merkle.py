"""How fast a tree of a million leaves is folded, proved, verified and checked: `python -m tests.bench.merkle [leaves]`.

One process, one thread, records of 300 bytes with keys of 36; prints one JSON object with the load of the machine.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.audit import merkle
from domain.audit.check import check_leaves
from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import Frontier, record_hash
from domain.audit.note import Signer
from domain.audit.tiles import Edge, MemoryTiles
from domain.kernel.ids import Micros
from infra.audit_files import AuditFiles, AuditWriter

LEAVES = 1_000_000
PROOFS = 50_000
VALUE_BYTES = 300
TREE = TreeName("orders.events", 0)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def records(count: int) -> Iterator[tuple[bytes, bytes]]:
    padding = bytes(VALUE_BYTES - 8)
    return ((b"018f3a5e-0000-7000-8000-%012d" % (n % 1000), n.to_bytes(8, "big") + padding) for n in range(count))


def main(count: int) -> None:
    figures: dict[str, object] = {"leaves": count, "load_before": os.getloadavg()}
    hashes: list[bytes] = []
    figures["hash_s"] = timed(lambda: hashes.extend(record_hash(*record) for record in records(count)))
    figures["frontier_s"] = timed(lambda: Frontier().append(hashes).root())
    tree = MemoryTiles()
    figures["tiles_s"] = timed(lambda: tree.append(hashes))
    root, nodes = tree.root(), tree.nodes()

    chosen = sorted(random.Random(1).sample(range(count), min(PROOFS, count)))
    paths: list[list[bytes]] = []
    seconds = timed(lambda: paths.extend(merkle.inclusion_proof(index, count, nodes) for index in chosen))
    figures["proofs_in_order_per_s"] = len(chosen) / seconds
    few = random.Random(2).sample(range(count), min(2_000, count))
    seconds = timed(lambda: [merkle.inclusion_proof(index, count, nodes) for index in few])
    figures["proofs_at_random_per_s"] = len(few) / seconds
    near = [count - 1 - n % 100_000 for n in range(len(chosen))]
    warm = tree.nodes()
    for index in near:
        merkle.inclusion_proof(index, count, warm)
    figures["proofs_warm_per_s"] = len(near) / timed(
        lambda: [merkle.inclusion_proof(index, count, warm) for index in near]
    )

    def verify() -> None:
        for index, path in zip(chosen, paths, strict=True):
            merkle.verify_inclusion(index, count, hashes[index], path, root)

    figures["verified_per_s"] = len(chosen) / timed(verify)
    signed = Checkpoint("bench", Micros(0), {TREE: TreeHead(count, root)})
    figures["check_s"] = timed(lambda: check_leaves({TREE: hashes}, signed, leaves=lambda _, size: hashes[:size]))
    figures |= on_disk(hashes)
    figures["load_after"] = os.getloadavg()
    print(json.dumps(figures, default=str))


def on_disk(hashes: list[bytes]) -> dict[str, object]:
    """Tiles written and synchronised as the audit process does, then proofs read back cold."""
    with tempfile.TemporaryDirectory() as folder:
        with AuditWriter(Path(folder), Signer("bench", Ed25519PrivateKey.generate())) as files:
            edge = Edge()

            def write() -> None:
                for tile, data in edge.append(hashes):
                    files.write_full(TREE, tile, data)
                for tile, data in edge.partial():
                    files.write_partial(TREE, tile, data)
                files.publish(Checkpoint("bench", Micros(0), {TREE: TreeHead(edge.size, edge.root())}), {})

            written = timed(write)
        nodes = AuditFiles(Path(folder)).nodes(TREE, len(hashes))
        some = random.Random(3).sample(range(len(hashes)), min(1_000, len(hashes)))
        seconds = timed(lambda: [merkle.inclusion_proof(index, len(hashes), nodes) for index in some])
        return {"files_s": written, "proofs_from_files_per_s": len(some) / seconds}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LEAVES)
