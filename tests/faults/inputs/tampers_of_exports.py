"""What can be done to an archive that was handed out: a range of records with their proofs, or one proof alone."""

import base64
import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.audit import note
from domain.audit.note import Signer
from tests.faults.inputs.sealed import Case
from tests.faults.inputs.tampers import CHECKER, EXPORT, PROOF, RANGE, Act, Tamper

Json = dict[str, Any]


def _bit(text: str, chance: Random) -> str:
    """The base64 of other bytes."""
    data = bytearray(base64.b64decode(text))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return base64.b64encode(bytes(data)).decode()


def _line(change: Callable[[Json, Random], None]) -> Act:
    """Something else in one line of the range."""

    def act(case: Case, chance: Random) -> str:
        at = chance.randrange(1, len(case.export))
        line = json.loads(case.export[at])
        before = copy.deepcopy(line)
        change(line, chance)
        assert line != before, "the tamper is none"
        case.export[at] = json.dumps(line)
        return f"line {at + 1}"

    return act


def _proof(change: Callable[[Json, Random], None], words: str) -> Act:
    """Something else in the proof alone."""

    def act(case: Case, chance: Random) -> str:
        change(case.proof, chance)
        return words

    return act


def value(line: Json, chance: Random) -> None:
    line["value"] = _bit(line["value"], chance)


def key(line: Json, chance: Random) -> None:
    line["key"] = base64.b64encode(b"account-of-another").decode()


def index(line: Json, chance: Random) -> None:
    line["index"] += chance.choice((-1, 1, 2))


def partition(line: Json, chance: Random) -> None:
    line["partition"] += 1


def topic(line: Json, chance: Random) -> None:
    line["topic"] = "accounts.events"


def size(line: Json, chance: Random) -> None:
    line["size"] += chance.choice((-1, 1))


def path_bit(line: Json, chance: Random) -> None:
    at = chance.randrange(len(line["path"]))
    line["path"][at] = _bit(line["path"][at], chance)


def path_shorter(line: Json, chance: Random) -> None:
    del line["path"][chance.randrange(len(line["path"]))]


def path_longer(line: Json, chance: Random) -> None:
    line["path"].insert(chance.randrange(len(line["path"]) + 1), base64.b64encode(bytes(32)).decode())


def path_swapped(line: Json, chance: Random) -> None:
    one, other = chance.sample(range(len(line["path"])), 2)
    line["path"][one], line["path"][other] = line["path"][other], line["path"][one]


def no_base64(line: Json, chance: Random) -> None:
    line["value"] = "%%%"


def field_gone(line: Json, chance: Random) -> None:
    del line[chance.choice(("topic", "partition", "index", "size", "key", "value", "path"))]


def field_of_another_type(line: Json, chance: Random) -> None:
    name = chance.choice(("partition", "index", "size", "path"))
    line[name] = chance.choice((None, "1", 1.0, True, {}))


def words_of_the_event(line: Json, chance: Random) -> None:
    """What people read says something else; the record below it is untouched."""
    name = chance.choice(sorted(line["event"]))
    line["event"][name] = "something else"


def words_gone(line: Json, chance: Random) -> None:
    line["event"] = None


def own_checkpoint(line: Json, chance: Random) -> None:
    """The line brings a checkpoint and a tree of its own."""
    line["checkpoint"], line["size"] = "evil\n\nevil", line["size"] + 1


def dropped(case: Case, chance: Random) -> str:
    at = chance.randrange(1, len(case.export) - 1)
    del case.export[at]
    return f"line {at + 1}"


def last_dropped(case: Case, chance: Random) -> str:
    del case.export[-chance.randint(1, 5) :]
    return f"line {len(case.export) + 1}"


def first_dropped(case: Case, chance: Random) -> str:
    del case.export[1]
    return "line 2"


def swapped(case: Case, chance: Random) -> str:
    at = chance.randrange(1, len(case.export) - 1)
    case.export[at], case.export[at + 1] = case.export[at + 1], case.export[at]
    return f"line {at + 1}"


def repeated(case: Case, chance: Random) -> str:
    at = chance.randrange(1, len(case.export))
    case.export.insert(at, case.export[at])
    return f"line {at + 2}"


def torn(case: Case, chance: Random) -> str:
    case.export[-1] = case.export[-1][: chance.randrange(1, len(case.export[-1]) - 1)]
    return f"line {len(case.export)}"


def head_edited(case: Case, chance: Random) -> str:
    """The range is said to be another."""
    head = json.loads(case.export[0])
    head[chance.choice(("first", "last"))] += chance.choice((-1, 1))
    case.export[0] = json.dumps(head)
    return "line "


def head_older(case: Case, chance: Random) -> str:
    """Another checkpoint of ours over the same lines."""
    head = json.loads(case.export[0])
    head["checkpoint"] = case.note_path(0).read_text()
    case.export[0] = json.dumps(head)
    return "line 2"


def _signed_by_a_stranger(case: Case, signed: str, chance: Random) -> tuple[str, str]:
    """A checkpoint that says the same under another key of our name, and that key."""
    stranger = Signer(case.vkey.partition("+")[0], Ed25519PrivateKey.generate())
    return note.sign(note.split(signed)[0], stranger), stranger.verifier.vkey()


def head_resigned(case: Case, chance: Random) -> str:
    head = json.loads(case.export[0])
    head["checkpoint"], head["vkey"] = _signed_by_a_stranger(case, head["checkpoint"], chance)
    case.export[0] = json.dumps(head)
    return "line 2"


def head_gone(case: Case, chance: Random) -> str:
    del case.export[0]
    return "line 1"


def proof_resigned(case: Case, chance: Random) -> str:
    signed, vkey = _signed_by_a_stranger(case, case.proof["checkpoint"], chance)
    case.proof |= {"checkpoint": signed, "vkey": vkey}
    return "signature"


def proof_of_another_checkpoint(case: Case, chance: Random) -> str:
    case.proof["checkpoint"] = case.note_path(0).read_text()
    return "size"


def proof_text_edited(case: Case, chance: Random) -> str:
    case.proof["checkpoint"] = case.proof["checkpoint"].replace("1970-", "1971-", 1)
    return "signature"


def proof_signature_gone(case: Case, chance: Random) -> str:
    case.proof["checkpoint"] = case.proof["checkpoint"].split("\n\n")[0] + "\n\n"
    return "signature"


def proof_format(line: Json, chance: Random) -> None:
    line["format"] = "tapeline-proof/2"


LINE, WORDS = (RANGE, EXPORT), (EXPORT,)
TAMPERS = (
    Tamper("range: a bit of a value", _line(value), (*LINE, CHECKER)),
    Tamper("range: a key", _line(key), (*LINE, CHECKER)),
    Tamper("range: an index", _line(index), (*LINE, CHECKER)),
    Tamper("range: a partition", _line(partition), (*LINE, CHECKER)),
    Tamper("range: a topic", _line(topic), (*LINE, CHECKER)),
    Tamper("range: a size", _line(size), (*LINE, CHECKER)),
    Tamper("range: a bit of a path", _line(path_bit), (*LINE, CHECKER)),
    Tamper("range: a path shorter", _line(path_shorter), (*LINE, CHECKER)),
    Tamper("range: a path longer", _line(path_longer), (*LINE, CHECKER)),
    Tamper("range: a path in another order", _line(path_swapped), (*LINE, CHECKER)),
    Tamper("range: no base64", _line(no_base64), LINE),
    Tamper("range: a field of another type", _line(field_of_another_type), LINE),
    Tamper("range: the words of an event", _line(words_of_the_event), WORDS),
    Tamper("range: the words of an event gone", _line(words_gone), WORDS),
    Tamper("range: a line with a checkpoint of its own", _line(own_checkpoint), LINE),
    Tamper("range: a line dropped", dropped, LINE),
    Tamper("range: the first line dropped", first_dropped, LINE),
    Tamper("range: the end cut off", last_dropped, LINE),
    Tamper("range: lines swapped", swapped, LINE),
    Tamper("range: a line repeated", repeated, LINE),
    Tamper("range: torn", torn, LINE),
    Tamper("range: said to be another", head_edited, LINE),
    Tamper("range: under an older checkpoint", head_older, LINE),
    Tamper("range: signed again by another key", head_resigned, LINE),
    Tamper("range: without its head", head_gone, LINE),
    Tamper("proof: a bit of its value", _proof(value, "record"), (PROOF,)),
    Tamper("proof: its key", _proof(key, "record"), (PROOF,)),
    Tamper("proof: its index", _proof(index, ":"), (PROOF,)),
    Tamper("proof: its partition", _proof(partition, ":"), (PROOF,)),
    Tamper("proof: its topic", _proof(topic, ":"), (PROOF,)),
    Tamper("proof: its size", _proof(size, "size"), (PROOF,)),
    Tamper("proof: a bit of its path", _proof(path_bit, "record"), (PROOF,)),
    Tamper("proof: its path shorter", _proof(path_shorter, ":"), (PROOF,)),
    Tamper("proof: its path longer", _proof(path_longer, ":"), (PROOF,)),
    Tamper("proof: a field gone", _proof(field_gone, "missing"), (PROOF,)),
    Tamper("proof: a field of another type", _proof(field_of_another_type, "missing"), (PROOF,)),
    Tamper("proof: another format", _proof(proof_format, "format"), (PROOF,)),
    Tamper("proof: signed again by another key", proof_resigned, (PROOF,)),
    Tamper("proof: under an older checkpoint", proof_of_another_checkpoint, (PROOF,)),
    Tamper("proof: the checkpoint's text", proof_text_edited, (PROOF,)),
    Tamper("proof: its signature stripped", proof_signature_gone, (PROOF,)),
)
