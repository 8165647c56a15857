"""A proof file and a verifier key in, yes or the reason why not out. Needs nothing of Tapeline, no network, no server.

    python verify.py proof.json --key 'name+id+key'      (or --key audit.vkey; or an export, range.ndjson)

Copy this one file to wherever the proof is checked; it needs Python 3.9 and the package `cryptography`. Three things
must hold: the checkpoint is signed by that key; it lists the record's tree with the size and a root; the record's hash
leads through the path to that root. Take the key from where you trust it, never from the proof. An export holds when
every line does and the lines are the whole range of its head, each record once and in order; what it shows of an event
in words is for people and is not checked here.

Exit codes: 0 it holds, 2 wrong use, 3 the file is no proof, 4 `cryptography` is missing, 5 the signature does not hold,
6 the checkpoint does not speak of this tree, 7 the record does not lead to the signed root, 8 the lines of an export
are not the range that it names.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

FORMAT = "tapeline-proof/1"
HOLDS, MALFORMED, NO_CRYPTOGRAPHY, BAD_SIGNATURE, WRONG_TREE, NOT_INCLUDED, NOT_THE_RANGE = 0, 3, 4, 5, 6, 7, 8
KEY_ID_BYTES, KEY_BYTES, HASH_BYTES, TREE_FIELDS = 4, 32, 32, 4
ED25519 = b"\x01"
PATH_MAX = 64
"""Hashes in a path: a tree of 2^64 leaves has no longer one."""
FIELDS = {
    "topic": str,
    "partition": int,
    "index": int,
    "key": str,
    "value": str,
    "size": int,
    "path": list,
    "checkpoint": str,
}


class Failed(Exception):
    """The proof does not hold; `code` is the exit code that says what failed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def verify(proof: dict[str, Any], vkey: str) -> dict[str, Any]:
    """What the proof shows, if it holds under this key; raises Failed."""
    _check_shape(proof)
    lines = _signed_text(proof["checkpoint"], vkey).split("\n")
    root = _root_of(lines, proof)
    data = _decoded(proof["key"], "key"), _decoded(proof["value"], "value")
    leaf = hashlib.sha256(b"\x00" + len(data[0]).to_bytes(4, "big") + data[0] + data[1]).digest()
    path = [_decoded(each, "path") for each in proof["path"]]
    if _climb(proof["index"], proof["size"], leaf, path) != root:
        raise Failed(NOT_INCLUDED, "record: it does not lead to the signed root, so it is not what was signed there")
    return {
        "topic": proof["topic"],
        "partition": proof["partition"],
        "index": proof["index"],
        "key": data[0].decode("utf-8", "backslashreplace"),
        "value_sha256": hashlib.sha256(data[1]).hexdigest(),
        "size": proof["size"],
        "origin": lines[0],
        "signed_at": lines[1],
    }


def verify_file(text: str, vkey: str) -> dict[str, Any]:
    """What a proof or an export shows, if it holds; raises Failed."""
    try:
        proof = json.loads(text)
    except ValueError:
        return verify_export(text, vkey)
    return verify(proof, vkey)


def verify_export(text: str, vkey: str) -> dict[str, Any]:
    """What an export shows, if every line of it holds under this key; raises Failed, which names the line."""
    head, *lines = [_object(line, number) for number, line in enumerate(text.splitlines(), start=1)] or [{}]
    if not lines or not all(type(head.get(name)) is int for name in ("first", "last")):
        raise Failed(MALFORMED, "line 1: it is not the head of an export with the first and last index of its range")
    for number, line in enumerate(lines, start=2):
        try:
            # The head comes last: no line brings a checkpoint of its own.
            shown = verify({**line, **head}, vkey)
        except Failed as failure:
            where = f"{line.get('topic')}/{line.get('partition')}/{line.get('index')}"
            raise Failed(failure.code, f"line {number}, {where}: {failure}") from None
        tree = shown["topic"], shown["partition"]
        due = (lines[0]["topic"], lines[0]["partition"]), head["first"] + number - 2
        if (tree, shown["index"]) != due:
            says = f"line {number}: {'/'.join(map(str, tree))}/{shown['index']} stands where {due[1]} is due"
            raise Failed(NOT_THE_RANGE, says)
    if head["first"] + len(lines) - 1 != head["last"]:
        due_at = head["first"] + len(lines)
        raise Failed(NOT_THE_RANGE, f"line {len(lines) + 2}: {due_at} is due; the range ends with {head['last']}")
    return {**{name: shown[name] for name in ("topic", "partition", "size", "origin", "signed_at")}, **_range(head)}


def _range(head: dict[str, Any]) -> dict[str, int]:
    return {"first": head["first"], "last": head["last"]}


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Failed(MALFORMED, f"line {number}: it is no JSON object")
    return found


def _check_shape(proof: object) -> None:
    if not isinstance(proof, dict) or proof.get("format") != FORMAT:
        raise Failed(MALFORMED, f"format: the file is no proof of the form {FORMAT}")
    for name, kind in FIELDS.items():
        if type(proof.get(name)) is not kind:
            raise Failed(MALFORMED, f"{name}: missing, or not {kind.__name__}")
    if not 0 <= proof["index"] < proof["size"] or len(proof["path"]) > PATH_MAX:
        raise Failed(MALFORMED, "index, size, path: the index must be below the size, the path no longer than 64")


def _signed_text(note: str, vkey: str) -> str:
    """The text of the note, if the key signed it."""
    if not HAS_CRYPTOGRAPHY:
        raise Failed(NO_CRYPTOGRAPHY, "the package cryptography is missing: pip install cryptography")
    name, public = _public_key(vkey)
    text, gap, signatures = note.rpartition("\n\n")
    if not gap:
        raise Failed(MALFORMED, "checkpoint: it is no signed note")
    text += "\n"
    key_id = hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]
    for line in signatures.splitlines():
        if not line.startswith(f"\u2014 {name} "):
            continue
        blob = _decoded(line.rsplit(" ", 1)[1], "checkpoint")
        if blob[:KEY_ID_BYTES] != key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(blob[KEY_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise Failed(BAD_SIGNATURE, f"signature: {name} did not sign this checkpoint text") from None
        return text
    raise Failed(BAD_SIGNATURE, f"signature: the checkpoint carries none of the key {name}+{key_id.hex()}")


def _public_key(vkey: str) -> tuple[str, bytes]:
    name, _, rest = vkey.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _decoded(encoded, "--key")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:KEY_ID_BYTES].hex()
    if key[:1] != ED25519 or len(key) != 1 + KEY_BYTES or key_id != expected:
        raise Failed(MALFORMED, "--key: it is no Ed25519 verifier key of the form name+id+key")
    return name, key[1:]


def _root_of(lines: list[str], proof: dict[str, Any]) -> bytes:
    """The root that the checkpoint lists for the record's tree."""
    tree = [proof["topic"], str(proof["partition"])]
    for line in lines[2:]:
        fields = line.split(" ")
        if len(fields) == TREE_FIELDS and fields[:2] == tree:
            if fields[2] != str(proof["size"]):
                raise Failed(WRONG_TREE, f"size: the checkpoint has {fields[2]} leaves, the proof says {proof['size']}")
            return _decoded(fields[3], "checkpoint")
    raise Failed(WRONG_TREE, f"tree: the checkpoint does not list {'/'.join(tree)}")


def _climb(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that the path leads to (RFC 9162, section 2.1.3.2)."""
    current, last = leaf, size - 1
    for sibling in path:
        if last == 0 or len(sibling) != HASH_BYTES:
            raise Failed(NOT_INCLUDED, "path: it has too many hashes, or one of the wrong length")
        if index & 1 or index == last:
            current = hashlib.sha256(b"\x01" + sibling + current).digest()
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            current = hashlib.sha256(b"\x01" + current + sibling).digest()
        index >>= 1
        last >>= 1
    if last:
        raise Failed(NOT_INCLUDED, "path: it ends below the root")
    return current


def _decoded(text: object, name: str) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise Failed(MALFORMED, f"{name}: it is not base64") from None


def main() -> int:
    """Read the arguments, print the answer, return the exit code."""
    parser = argparse.ArgumentParser(description="Check a Tapeline proof offline.")
    parser.add_argument("proof", type=Path, help="the proof file")
    parser.add_argument("--key", required=True, help="the verifier key, or a file that holds it")
    arguments = parser.parse_args()
    try:
        key = arguments.key if "+" in arguments.key else Path(arguments.key).read_text("utf-8")
        shown = verify_file(arguments.proof.read_text("utf-8"), key)
    except (OSError, UnicodeError) as error:
        sys.stderr.write(f"NOT VERIFIED: {error}\n")
        return MALFORMED
    except Failed as failure:
        sys.stderr.write(f"NOT VERIFIED: {failure}\n")
        return failure.code
    sys.stdout.write("VERIFIED\n" + "".join(f"  {name}: {value}\n" for name, value in shown.items()))
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
