"""Files and functions that fit a screen, and that say what they are."""

import ast
import re
from itertools import pairwise

from tests.tidy.sources import functions, name, python, shipped, tracked, tree

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
WRITTEN = {".py", ".sh", ".yaml", ".yml", ".toml", ".sql", ".ts", ".tsx", ".avsc"}
"""Kinds of files that people write; what tools write may be as long as it likes."""
LIMIT = re.compile(r"^(?!DAY|HOUR|MINUTE|SECOND)[A-Z][A-Z0-9_]*_(MAX|MS|US|SECONDS|DAYS|KEPT)(_|$)")
"""Names of limits, but not of the facts that a day has so many microseconds."""


def test_a_file_fits_in_the_head() -> None:
    long = [
        f"{name(path)} has {lines} lines"
        for path in tracked()
        if path.suffix in WRITTEN and ".lock" not in path.name
        if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX
    ]
    assert not long, f"more than {FILE_LINES_MAX} lines: it holds two things, make two files"


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{place} has {lines} lines"
        for place, function in functions([*shipped(), *python("tests")])
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, f"more than {FUNCTION_LINES_MAX} lines: give a part of it a name"


def test_packages_are_folders_and_nothing_else() -> None:
    full = [name(path) for path in tracked() if path.name == "__init__.py" and path.read_text().strip()]
    assert not full, "leave __init__.py empty: import from the file that defines the name"


def test_every_module_says_where_its_data_comes_from_and_goes() -> None:
    silent = [name(path) for path in shipped() if path.name != "__init__.py" and not ast.get_docstring(tree(path))]
    assert not silent, "begin the module with a docstring of one sentence or more"


def test_every_limit_says_why_it_is_that_much() -> None:
    bare = []
    for path in shipped():
        lines = path.read_text().splitlines()
        for statement, following in pairwise([*tree(path).body, None]):
            if statement is not None and not _is_explained(statement, following, lines):
                bare += [f"{name(path)}:{statement.lineno} {limit}" for limit in _limits(statement)]
    assert not bare, "write a string below the constant or a comment beside it: the unit, and why that much"


def _is_explained(statement: ast.stmt, following: ast.stmt | None, lines: list[str]) -> bool:
    has_string = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    above, own = lines[statement.lineno - 2], lines[(statement.end_lineno or statement.lineno) - 1]
    return has_string or "  # " in own or above.startswith("# ")


def _limits(statement: ast.stmt) -> list[str]:
    """Names of limits that the statement sets to a number."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if not any(isinstance(node, ast.Constant) and isinstance(node.value, int) for node in ast.walk(statement.value)):
        return []
    return [target.id for target in targets if isinstance(target, ast.Name) and LIMIT.match(target.id)]
