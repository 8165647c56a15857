"""What no file of the project says."""

import ast
import re
from pathlib import Path

from tests.tidy.sources import LAYERS, dotted, name, nodes, python, tracked

LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?<![\w.-])/(work|root|home|Users|mnt)/\w")
REGISTRY = re.compile(r"pythonhosted|pypi\.org|repo1\.maven|maven\.org|npmjs\.org|artifactory|ghcr\.io|docker\.io")
BINARY = {".bin", ".png", ".ico", ".woff2", ".gz", ".parquet"}


def _lines(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number} {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]


def _texts() -> list[Path]:
    return [path for path in tracked() if path.suffix not in BINARY and path != Path(__file__)]


def test_nothing_is_left_for_later() -> None:
    assert not _lines(LEFTOVER, _texts()), "do it now, or open an issue and say nothing here"


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert not _lines(MACHINE, _texts()), "build paths from the repository's root or from a setting"


def test_no_file_names_a_package_registry() -> None:
    assert not _lines(REGISTRY, _texts()), "leave the registry to the settings of pip, jgo and npm"


def test_locks_hold_hashes_and_no_addresses() -> None:
    locks = [path for path in tracked() if "lock" in path.name and path.suffix in {".lock", ".toml", ".json", ".txt"}]
    assert locks, "the list of lock files is empty: look for them elsewhere"
    assert not _lines(re.compile("://"), locks), "lock again without URLs: the same lock serves every mirror"


def test_only_doors_for_people_print() -> None:
    prints = [
        place
        for place, node in nodes(python("", *LAYERS))
        if isinstance(node, ast.Call) and dotted(node.func) == "print" and "cli.py" not in place
    ]
    assert not prints, "log with infra/telemetry.py, or print in a cli.py"
