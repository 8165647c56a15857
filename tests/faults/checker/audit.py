"""Everything that was ever signed against the tape: one history of one tape, and every root that of its leaves.

Roots are computed from the leaves of the dumps, at every size that any checkpoint names: two checkpoints whose roots
are both those of one list of leaves are consistent with each other.
"""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.checker import merkle, notes
from tests.faults.checker.evidence import Folder, Record, lines
from tests.faults.checker.notes import Checkpoint, Key, Refused, Tree
from tests.faults.checker.verdict import Findings

Heads = dict[int, dict[bytes, str]]
"""The roots that were signed for each size, with the first note that says so."""
FEEDS = ("executions.messages", "reconciliation.messages")
"""Feeds that have trees besides the topics of events."""


def judge(folder: Folder, findings: Findings) -> None:
    """Hold notes, roots and exported proofs against the tape."""
    path = folder.root / "audit" / "vkey"
    if not path.exists():
        findings.not_judged.append("merkle: no verifier key is there")
        return
    key = Key(path.read_text())
    ours = sorted((folder.root / "audit" / "checkpoints").rglob("*.note"))
    signed = list(_signed(ours, key, findings))
    kept = list(_signed(sorted((folder.root / "audit" / "kept").glob("*.note")), key, findings))
    findings.judged["checkpoints"] += len(signed) + len(kept)
    if not signed:
        findings.not_judged.append("merkle: no checkpoint is there")
    _taken_back(signed, findings)
    exports = sorted((folder.root / "audit").glob("export*.ndjson"))
    proofs = [each for export in exports for each in _proofs(export, key, findings)]
    _roots(folder, [*signed, *kept], proofs, findings)


def _signed(paths: list[Path], key: Key, findings: Findings) -> Iterator[tuple[str, Checkpoint]]:
    for path in paths:
        try:
            yield path.name, notes.checkpoint(key.text(path.read_text()))
        except Refused as refused:
            findings.add("merkle", f"{path.name}: {refused}")


def _taken_back(signed: list[tuple[str, Checkpoint]], findings: Findings) -> None:
    """Later checkpoints have the same origin, a later time and no smaller tree."""
    largest: dict[Tree, int] = {}
    origin, time = "", ""
    for name, checkpoint in signed:
        if checkpoint.time < time or (origin and checkpoint.origin != origin):
            findings.add("merkle", f"{name}: {checkpoint.origin} at {checkpoint.time} follows {origin} at {time}")
        origin, time = checkpoint.origin, checkpoint.time
        for tree in {*largest, *checkpoint.heads}:
            size, _ = checkpoint.heads.get(tree, (0, b""))
            if size < largest.get(tree, 0):
                says = f"{name}: {size} leaves were signed after {largest[tree]}"
                findings.add("merkle", says, topic=tree[0], partition=tree[1])
            largest[tree] = max(size, largest.get(tree, 0))


def _roots(
    folder: Folder, signed: list[tuple[str, Checkpoint]], proofs: list[dict[str, Any]], findings: Findings
) -> None:
    """Every head that was signed is the root of so many leaves of the dump."""
    heads: defaultdict[Tree, defaultdict[int, dict[bytes, str]]] = defaultdict(lambda: defaultdict(dict))
    for name, checkpoint in signed:
        for tree, (size, root) in checkpoint.heads.items():
            heads[tree][size].setdefault(root, name)
    wanted: defaultdict[Tree, dict[int, dict[str, Any]]] = defaultdict(dict)
    for proof in proofs:
        wanted[proof["topic"], proof["partition"]][proof["index"]] = proof
    for ending in (".events", *FEEDS):
        for topic, number, path in folder.partitions(ending):
            tree = topic, number
            _Grown(tree, wanted[tree], findings).judge(
                path, heads.pop(tree, {}), folder.due_end(*tree) if signed else 0
            )
    for tree, unknown in heads.items():
        if max(unknown):
            findings.add("merkle", "a tree was signed whose topic was not dumped", topic=tree[0], partition=tree[1])


class _Grown:
    """The tree of one partition, grown from its dump."""

    def __init__(self, tree: Tree, wanted: dict[int, dict[str, Any]], findings: Findings) -> None:
        self._place: dict[str, Any] = {"topic": tree[0], "partition": tree[1]}
        self._wanted = wanted
        self._findings = findings
        self._count = 0
        self._due = 0

    def judge(self, path: Path, heads: Heads, due_end: int) -> None:
        """Every head has the root of so many leaves, and all that is due is under one."""
        reached = 0
        for size, root in merkle.roots(self._leaves(path, due_end), heads):
            reached = size
            for other, name in heads[size].items():
                if other != root:
                    self._say(f"{name}: another root was signed for {size} leaves", size - 1)
        self._findings.judged["leaves"] += self._count
        for size, names in heads.items():
            if size > reached:
                name = next(iter(names.values()))
                self._say(f"{name}: {size} leaves were signed, the tape has {self._count}", self._count)
        if self._due > max(heads, default=0):
            says = f"{self._due} records stand there and {max(heads, default=0)} are signed"
            self._findings.add("liveness", says, **self._place)

    def _leaves(self, path: Path, due_end: int) -> Iterator[bytes]:
        """The leaf hashes; on the way exported records are compared with them."""
        for index, record in enumerate(lines(path, Record)):
            self._count = index + 1
            self._due += record.offset < due_end
            hashed = merkle.leaf(record.key, record.value)
            proof = self._wanted.get(index)
            if proof is not None and proof["leaf"] != hashed:
                self._say("the export has another record here", index)
            yield hashed

    def _say(self, says: str, sequence: int) -> None:
        self._findings.add("merkle", says, sequence=sequence, **self._place)


def _proofs(path: Path, key: Key, findings: Findings) -> Iterator[dict[str, Any]]:
    """Every line of an export that leads to the root of its checkpoint, with its leaf."""
    with path.open() as file:
        head = json.loads(file.readline())
        try:
            heads = notes.checkpoint(key.text(head["checkpoint"])).heads
        except (Refused, KeyError) as refused:
            findings.add("merkle", f"{path.name}: {refused}")
            return
        for line in file:
            proof = json.loads(line)
            findings.judged["proofs"] += 1
            place = {"topic": proof["topic"], "partition": proof["partition"], "sequence": proof["index"]}
            size, root = heads.get((proof["topic"], proof["partition"]), (0, b""))
            try:
                record = base64.b64decode(proof["key"]), base64.b64decode(proof["value"])
                steps = [base64.b64decode(each) for each in proof["path"]]
            except binascii.Error:
                findings.add("merkle", f"{path.name}: a proof is not base64", **place)
                continue
            proof["leaf"] = merkle.leaf(*record)
            if proof["size"] != size or merkle.climbed(proof["index"], size, proof["leaf"], steps) != root:
                findings.add("merkle", f"{path.name}: the path does not lead to the signed root", **place)
            yield proof
