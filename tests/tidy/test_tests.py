"""Tests that can fail, and prose that is true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.tidy.sources import ROOT, Function, dotted, functions, name, nodes, python, tracked

TESTS = [path for path in python("tests") if path.name.startswith("test_")]
PROVING = {"raises", "fail", "then", "timeout"}
RAISING = ("check_", "verify", "validate")
"""Functions of ours and of others that raise when what they look at does not hold."""
MOCKS = {"unittest.mock", "mock", "pytest_mock"}
GOAL = re.compile(r"\bmake ([a-z][a-z-]*)\b")


def _asserts(function: Function, helpers: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = dotted(node.func).rsplit(".", 1)[-1] or getattr(node.func, "attr", "")
            if called in helpers or called in PROVING or called.startswith(RAISING):
                return True
    return False


def test_every_test_asserts_something() -> None:
    helpers = {
        function.name
        for _, function in functions(python("tests"))
        if not function.name.startswith("test_") and _asserts(function, set())
    }
    empty = [
        place
        for place, function in functions(TESTS)
        if function.name.startswith("test_") and not _asserts(function, helpers)
    ]
    assert not empty, "assert what the name says, or delete the test"


def test_every_test_name_is_a_sentence() -> None:
    short = [
        place
        for place, function in functions(TESTS)
        if function.name.startswith("test_") and function.name.count("_") < 2
    ]
    assert not short, "name what must hold: test_cancels_the_unfilled_part"


def test_nothing_of_ours_is_mocked() -> None:
    mocks = []
    for place, node in nodes(python("tests")):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        mocks += [place for module in names if module in MOCKS]
    assert not mocks, "use the real thing, or a fake with behaviour in tests/kit/"


def test_no_test_sleeps_where_it_could_wait_for_what_it_needs() -> None:
    sleeps = [
        place
        for place, node in nodes(python("tests"))
        if isinstance(node, ast.Call) and dotted(node.func) == "time.sleep" and "/test_" in place
    ]
    assert not sleeps, "await the condition, with a limit"


def test_prose_names_goals_that_make_has() -> None:
    makefile = ROOT / "Makefile"
    goals = set(re.findall(r"^([a-z][a-z-]*):", makefile.read_text(), re.MULTILINE)) if makefile.exists() else set()
    prose = [path for path in tracked() if path.suffix == ".md" and path.parent == ROOT]
    named = {(name(path), goal) for path in prose for goal in _goals(path)}
    assert not {(file, goal) for file, goal in named if goal not in goals}, (
        "add the goal to the Makefile, or say another"
    )


def _goals(path: Path) -> set[str]:
    """Goals in code, where `make` is a command and not a verb."""
    code = re.findall(r"```.*?```|`[^`\n]+`", path.read_text(), re.DOTALL)
    return {goal for part in code for goal in GOAL.findall(part)}


def test_imports_point_the_way_they_should() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [linter], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
