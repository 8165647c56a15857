"""The checker of runs shares nothing with what it judges: no code, and no client of the tape."""

import ast
import sys
from collections.abc import Iterable, Iterator

from tests.tidy.sources import name, nodes, python, shipped

CHECKER = "tests/faults/checker/"
ITS_OWN = "tests.faults.checker"
ITS_LIBRARIES = {"cryptography", "fastavro", "kafka", "msgspec", "psycopg"}
BACK_DOORS = {"importlib", "runpy"}


def imported(node: ast.AST) -> Iterator[str]:
    """Modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or "")


def strange(modules: Iterable[str]) -> list[str]:
    """Modules that are neither of the checker, nor of Python, nor a library that it names."""
    allowed = (sys.stdlib_module_names - BACK_DOORS) | ITS_LIBRARIES
    return [
        each
        for each in modules
        if each.partition(".")[0] not in allowed and each != ITS_OWN and not each.startswith(f"{ITS_OWN}.")
    ]


def test_the_checker_imports_nothing_of_the_product() -> None:
    files = [path for path in python("tests") if name(path).startswith(CHECKER)]
    assert len(files) > 1, "the checker has moved: name its folder here"
    found = [f"{place} {each}" for place, node in nodes(files) for each in strange(imported(node))]
    assert not found, "write it in tests/faults/checker once more: a judge who shares code shares its faults"


def test_the_product_does_not_use_the_clients_of_the_checker() -> None:
    found = [
        f"{place} {each}"
        for place, node in nodes(shipped())
        for each in imported(node)
        if each.partition(".")[0] in {"kafka", "psycopg"}
    ]
    assert not found, (
        "use infra/kafka and infra/postgres.py: the checker reads through other libraries than the product"
    )


def test_an_import_of_the_product_would_be_seen() -> None:
    lines = [
        "import domain.orders.state",
        "from infra.avro import codec",
        "import importlib",
        "from tests.kit import tape",
    ]
    found = [each for line in lines for node in ast.parse(line).body for each in strange(imported(node))]
    assert found == ["domain.orders.state", "infra.avro", "importlib", "tests.kit"]
