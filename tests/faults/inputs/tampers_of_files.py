"""What can be done to the audit's own files: checkpoints, the tiles of the trees, and both together with the tape.

Who holds the signing key can begin again, and who takes the newest checkpoints away leaves an older truth behind: these
are found by the checkpoints that an auditor took home, and by nothing else. Each such kind is told so.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.audit import note
from domain.audit.note import Signer
from infra import audit_key
from projections.audit.forest import EVENTS
from tests.faults.inputs import tampers_of_tape as tape
from tests.faults.inputs.sealed import KEPT, SIGNED_AT, Case
from tests.faults.inputs.tampers import CHECKER, VERIFY, Act, Tamper

NEWEST = len(SIGNED_AT) - 1


def _stranger(case: Case, name: str = "") -> Signer:
    return Signer(name or case.vkey.partition("+")[0], Ed25519PrivateKey.generate())


def _note(change: Callable[[str, Random], str]) -> Act:
    """Another text in the file of one checkpoint."""

    def act(case: Case, chance: Random) -> str:
        number = chance.randrange(len(SIGNED_AT))
        path = case.note_path(number)
        before = path.read_text()
        path.write_text(changed := change(before, chance))
        assert changed != before, "the tamper is none"
        return f"checkpoint {number}:"

    return act


def _line(text: str, chance: Random, change: Callable[[list[str]], str | None]) -> str:
    """One line of a tree, changed or gone."""
    lines = text.split("\n")
    end = lines.index("")
    at = chance.choice([at for at in range(2, end) if lines[at].split(" ")[2] != "0"])
    made = change(lines[at].split(" "))
    return "\n".join([*lines[:at], *([] if made is None else [made]), *lines[at + 1 :]])


def larger(text: str, chance: Random) -> str:
    return _line(text, chance, lambda each: " ".join([*each[:2], str(int(each[2]) + chance.randint(1, 99)), each[3]]))


def smaller(text: str, chance: Random) -> str:
    return _line(text, chance, lambda each: " ".join([*each[:2], str(int(each[2]) - 1), each[3]]))


def other_root(text: str, chance: Random) -> str:
    return _line(text, chance, lambda each: " ".join([*each[:3], "A" * 43 + "="]))


def tree_gone(text: str, chance: Random) -> str:
    return _line(text, chance, lambda _: None)


def tree_twice(text: str, chance: Random) -> str:
    return _line(text, chance, lambda each: "\n".join([" ".join(each)] * 2))


def other_time(text: str, chance: Random) -> str:
    return text.replace("1970-", f"19{chance.randint(71, 99)}-", 1)


def other_origin(text: str, chance: Random) -> str:
    return f"evil{chance.randrange(100)}.{text}"


def cut(text: str, chance: Random) -> str:
    return text[: chance.randrange(1, len(text) - 1)]


def empty(_text: str, _chance: Random) -> str:
    return ""


def signature_bit(text: str, chance: Random) -> str:
    head, gap, line = text.rpartition(" ")
    at = chance.randrange(8, 80)
    return head + gap + line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]


def signature_gone(text: str, _chance: Random) -> str:
    return text.partition("\n\n")[0] + "\n\n"


def signature_doubled(text: str, chance: Random) -> str:
    return text + signature_bit(text, chance).split("\n\n")[1]


def resigned(case: Case, chance: Random) -> str:
    """One checkpoint says something else, under another key of the same name."""
    number = chance.randrange(len(SIGNED_AT))
    text = larger(case.note_path(number).read_text(), chance)
    case.note_path(number).write_text(note.sign(note.split(text)[0], _stranger(case)))
    return f"checkpoint {number}:"


def resigned_under_another_name(case: Case, chance: Random) -> str:
    number = chance.randrange(len(SIGNED_AT))
    text = note.split(case.note_path(number).read_text())[0]
    case.note_path(number).write_text(note.sign(text, _stranger(case, "evil.example/tape")))
    return f"checkpoint {number}:"


def note_bytes(case: Case, chance: Random) -> str:
    """No text at all."""
    number = chance.randrange(len(SIGNED_AT))
    case.note_path(number).write_bytes(chance.randbytes(200))
    return f"checkpoint {number}:"


def note_gone(case: Case, chance: Random) -> str:
    number = chance.randrange(NEWEST)
    case.note_path(number).unlink()
    return f"{number:03d}.note"


def notes_swapped(case: Case, chance: Random) -> str:
    one, other = sorted(chance.sample(range(len(SIGNED_AT)), 2))
    first, second = case.note_path(one).read_text(), case.note_path(other).read_text()
    case.note_path(one).write_text(second)
    case.note_path(other).write_text(first)
    return "checkpoint "


def note_over_the_next(case: Case, chance: Random) -> str:
    """An older checkpoint stands where the one after it stood."""
    number = chance.randrange(NEWEST)
    shutil.copy(case.note_path(number), case.note_path(number + 1))
    return f"checkpoint {number + 1}:"


def kept_one_taken_out(case: Case, chance: Random) -> str:
    """One is gone and all behind it have moved up: nothing here contradicts that, what was kept elsewhere does."""
    for number in range(KEPT[0], NEWEST):
        shutil.move(case.note_path(number + 1), case.note_path(number))
    case.kept = case.kept[:1]
    return "forgotten"


def rolled_back(case: Case, chance: Random) -> str:
    """The newest are gone, and the copy of the newest with them: found by what was kept."""
    left = chance.randrange(1, NEWEST)
    for number in range(left + 1, NEWEST + 1):
        case.note_path(number).unlink()
    shutil.copy(case.note_path(left), case.audit / "latest")
    return "rolled back"


def rolled_back_with_the_tape(case: Case, chance: Random) -> str:
    """The tape ends where an older checkpoint ends, and the newer ones are gone."""
    words = rolled_back(case, chance)
    for place, log in case.logs.items():
        share = SIGNED_AT[int(_newest(case).stem)]
        case.logs[place] = log[: round(len(log) / SIGNED_AT[-1] * share)]
    return words


def _newest(case: Case) -> Path:
    return max((case.audit / "checkpoints").rglob("*.note"))


def _begun_again(case: Case, chance: Random) -> None:
    """Another tape, and a trail that somebody made of it from the start."""
    for place in [each for each in case.logs if each[0].endswith(EVENTS) and case.logs[each]]:
        tape.forked(case, place, chance)
        tape._rechain(case, place, 0)
    shutil.rmtree(case.audit)


def begun_again_with_our_key(case: Case, chance: Random) -> str:
    _begun_again(case, chance)
    case.sign()
    return ""


def begun_again_with_another_key(case: Case, chance: Random) -> str:
    """Everything fits together, under a key that is not ours; the verifier's key comes from elsewhere."""
    _begun_again(case, chance)
    shutil.rmtree(case.state_dir / "keys")
    audit_key.signer(case.state_dir)
    case.sign()
    return "checkpoint 0:"


def _latest(change: Callable[[Case, Random], str | None]) -> Act:
    def act(case: Case, chance: Random) -> str:
        path, text = case.audit / "latest", change(case, chance)
        path.unlink()
        if text is not None:
            path.write_text(text)
        return "latest"

    return act


def _nothing(_case: Case, _chance: Random) -> None:
    return None


def _oldest(case: Case, _chance: Random) -> str:
    return case.note_path(0).read_text()


def _oldest_edited(case: Case, chance: Random) -> str:
    return larger(_oldest(case, chance), chance)


def _tile(wanted: str, change: Callable[[bytes, Random], bytes | None]) -> Act:
    """Other bytes in a tile of the fullest partition: of the leaves or above, full or at the edge."""

    def act(case: Case, chance: Random) -> str:
        place = max(case.logs, key=lambda each: len(case.logs[each]))
        tree = case.audit / "trees" / place[0] / str(place[1])
        path = chance.choice(sorted(path for path in tree.glob(wanted) if path.is_file()))
        made = change(path.read_bytes(), chance)
        path.unlink()
        if made is not None:
            path.write_bytes(made)
        return f"{place[0]}/{place[1]}"

    return act


def bit(data: bytes, chance: Random) -> bytes:
    return tape._flip(data, chance)


def hash_swapped(data: bytes, chance: Random) -> bytes:
    at, other = (32 * each for each in chance.sample(range(len(data) // 32), 2))
    hashes = {at: data[other : other + 32], other: data[at : at + 32]}
    return b"".join(hashes.get(each, data[each : each + 32]) for each in range(0, len(data), 32))


def shortened(data: bytes, chance: Random) -> bytes:
    return data[: -chance.randint(1, len(data))]


def gone(_data: bytes, _chance: Random) -> None:
    return None


def record_and_its_hash(case: Case, chance: Random) -> str:
    """The stored hashes were made to fit the rewritten records: only the root still knows."""
    tape._of(EVENTS, tape.rewritten, mended=True)(case, chance)
    _write_trees_anew(case)
    return ""


def record_and_all_trees_gone(case: Case, chance: Random) -> str:
    tape._of(EVENTS, tape.edited)(case, chance)
    shutil.rmtree(case.audit / "trees")
    return "tile"


def _write_trees_anew(case: Case) -> None:
    """Every tile of the tape as it stands now, below checkpoints that say otherwise."""
    elsewhere = Case(case.original, case.state_dir / "elsewhere")
    elsewhere.logs = case.logs
    elsewhere.sign()
    shutil.rmtree(case.audit / "trees")
    shutil.copytree(elsewhere.audit / "trees", case.audit / "trees")


BOTH, OURS = (VERIFY, CHECKER), (VERIFY,)
TAMPERS = (
    Tamper("checkpoint: a larger tree", _note(larger), BOTH),
    Tamper("checkpoint: a smaller tree", _note(smaller), BOTH),
    Tamper("checkpoint: another root", _note(other_root), BOTH),
    Tamper("checkpoint: a tree gone", _note(tree_gone), BOTH),
    Tamper("checkpoint: a tree twice", _note(tree_twice), BOTH),
    Tamper("checkpoint: another time", _note(other_time), BOTH),
    Tamper("checkpoint: another origin", _note(other_origin), BOTH),
    Tamper("checkpoint: cut short", _note(cut), BOTH),
    Tamper("checkpoint: empty", _note(empty), BOTH),
    Tamper("checkpoint: no text", note_bytes, OURS),
    Tamper("checkpoint: a bit of its signature", _note(signature_bit), BOTH),
    Tamper("checkpoint: signature stripped", _note(signature_gone), BOTH),
    Tamper("checkpoint: a second, forged signature", _note(signature_doubled), OURS),
    Tamper("checkpoint: signed again by another key", resigned, BOTH),
    Tamper("checkpoint: signed again under another name", resigned_under_another_name, BOTH),
    Tamper("checkpoint: removed", note_gone, OURS),
    Tamper("checkpoint: two swapped", notes_swapped, BOTH),
    Tamper("checkpoint: an older one over the next", note_over_the_next, OURS),
    Tamper("checkpoint: taken out, the rest moved up (kept elsewhere)", kept_one_taken_out, OURS),
    Tamper("checkpoint: rolled back (kept elsewhere)", rolled_back, OURS),
    Tamper("checkpoint: rolled back with the tape (kept elsewhere)", rolled_back_with_the_tape, BOTH),
    Tamper("trail: begun again with our key (kept elsewhere)", begun_again_with_our_key, BOTH),
    Tamper("trail: begun again with another key", begun_again_with_another_key, BOTH),
    Tamper("latest: removed", _latest(_nothing), OURS),
    Tamper("latest: an older one", _latest(_oldest), OURS),
    Tamper("latest: edited", _latest(_oldest_edited), OURS),
    Tamper("tile: a bit of a leaf's hash", _tile("0/*", bit), OURS),
    Tamper("tile: a bit at the edge", _tile("0/*.p/*", bit), OURS),
    Tamper("tile: a bit above the leaves", _tile("1/*.p/*", bit), OURS),
    Tamper("tile: two hashes swapped", _tile("0/*", hash_swapped), OURS),
    Tamper("tile: shortened", _tile("0/*", shortened), OURS),
    Tamper("tile: gone", _tile("0/*", gone), OURS),
    Tamper("record and its stored hash", record_and_its_hash, BOTH),
    Tamper("record edited, all trees gone", record_and_all_trees_gone, BOTH),
)
