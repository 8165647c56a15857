"""The files of the project and their syntax trees, as the house rules read them."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("domain", "infra", "projections", "streams", "gateways")
SHIPPED = (*LAYERS, "deploy", "simulators", "demo", "examples")
"""Folders of what runs; tests are held to fewer rules."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project: those that git knows, or all that are not hidden where there is no git."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in _parts(path))]
    return tuple(sorted(path for path in paths if path.is_file() and "__pycache__" not in path.parts))


def python(*folders: str) -> Iterator[Path]:
    """Python files of these folders of the root; of the root itself for ""."""
    for path in tracked():
        parts = _parts(path)
        if path.suffix == ".py" and (parts[0] in folders if len(parts) > 1 else "" in folders):
            yield path


def shipped() -> Iterator[Path]:
    """Python files of what runs."""
    return python("", *SHIPPED)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def nodes(paths: Iterable[Path]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of these files, with the place where it stands."""
    for path in paths:
        for node in ast.walk(tree(path)):
            yield f"{name(path)}:{getattr(node, 'lineno', 1)}", node


def functions(paths: Iterable[Path]) -> Iterator[tuple[str, Function]]:
    for place, node in nodes(paths):
        if isinstance(node, Function):
            yield f"{place} {node.name}", node


def name(path: Path) -> str:
    """The file's address in the project."""
    return path.relative_to(ROOT).as_posix()


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def _parts(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).parts
