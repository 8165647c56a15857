"""Every rule of semgrep finds the lines of its bad example, those alone, and nothing in its good one."""

from functools import cache
from pathlib import Path

import pytest

from deploy.security import code

RULES = Path(code.RULES)
EXAMPLES = RULES.with_name("examples")
FOUND = "# found"


def named() -> list[str]:
    """The rules as their files name them."""
    lines = (line.strip() for file in sorted(RULES.glob("*.yaml")) for line in file.read_text().splitlines())
    return [line.removeprefix("- id: ") for line in lines if line.startswith("- id: ")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[tuple[int, str]]]:
    """Lines and rules that were found, by kind of example and its rule."""
    folder = tmp_path_factory.mktemp("examples")
    names: list[str] = []
    for example in sorted(EXAMPLES.iterdir()):
        rule, kind, *_ = example.name.split(".")
        names.append(f"{kind}/{rule}.py")
        (folder / kind).mkdir(exist_ok=True)
        (folder / names[-1]).write_text(example.read_text())
    hits: dict[tuple[str, str], set[tuple[int, str]]] = {}
    for file, line, rule, _ in code.hits(folder, names):
        kind, _, name = file.partition("/")
        hits.setdefault((kind, name.removesuffix(".py")), set()).add((line, rule))
    return hits


@cache
def marked(rule: str) -> set[int]:
    """Lines of a bad example that say that they are to be found."""
    lines = (EXAMPLES / f"{rule}.bad.py.txt").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith(FOUND)}


def test_every_rule_has_a_bad_and_a_good_example() -> None:
    wanted = {f"{rule}.{kind}.py.txt" for rule in named() for kind in ("bad", "good")}
    assert len(wanted) >= 50
    assert {example.name for example in EXAMPLES.iterdir()} == wanted


@pytest.mark.parametrize("rule", named())
def test_finds_what_is_marked_and_nothing_else(found: dict[tuple[str, str], set[tuple[int, str]]], rule: str) -> None:
    lines = {line for line, name in found.get(("bad", rule), set()) if name == rule}
    assert marked(rule), "mark the lines that the rule has to find"
    assert lines == marked(rule)
    assert not {line for line, name in found.get(("good", rule), set()) if name == rule}
