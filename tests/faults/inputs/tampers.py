"""One tamper: what is done to a copy of what was signed, which tools must notice it, and the place they must name."""

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from tests.faults.inputs.sealed import Case, Said

VERIFY, CHAIN, CHECKER = "verify --tape", "readers' chain", "checker"
RANGE, PROOF, EXPORT = "verifier: range", "verifier: proof", "export check"

Act = Callable[[Case, Random], str]
"""Does it; gives the words by which the place must be named, or none when it is leaves of the tape."""


class Tamper(msgspec.Struct, frozen=True):
    """One kind."""

    name: str
    act: Act
    noticed_by: tuple[str, ...]


def unnoticed(tamper: Tamper, case: Case, words: str, said: Sequence[Said]) -> str:
    """Why this tamper counts as not detected; empty when every tool noticed and its place was named."""
    silent = [tool for tool in tamper.noticed_by if not any(each.tool == tool for each in said)]
    if silent:
        return f"nothing was said by {', '.join(silent)}"
    if words:
        told = [each for each in said if words in each.words]
        return "" if told else f"no tool names {words!r}: {[each.words for each in said][:3]}"
    places = case.differences()
    if not places:
        return "nothing was changed: the tamper is none"
    for tree, index in places.items():
        if not any(each.tool == VERIFY and each.names(tree, index) for each in said):
            return f"verify --tape does not name {tree} leaf {index}: {[each.words for each in said][:3]}"
    return ""
