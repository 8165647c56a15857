"""The domain sees no clock, no chance and no float, so that a replay gives the same bytes."""

import ast
import re
from pathlib import Path

import domain.kernel.money
from tests.tidy.sources import dotted, name, nodes, python, shipped

AMBIENT = re.compile(
    r"(^|\.)(now|utcnow|today|uuid1|uuid4|uuid6|uuid7|getenv|urandom)$|^(time|random|secrets|os|socket)\.|^open$|^input$"
)
MODULES = {"time", "random", "secrets", "os", "socket", "asyncio", "threading", "subprocess", "logging"}
AMOUNT = re.compile(r"(^|_)(price|amount|quantity|cash|cost|notional|bid|ask|reserved|released|unfilled|balance)(_|$)")


def test_the_domain_takes_time_and_chance_as_arguments() -> None:

    ambient = []
    for place, node in nodes(python("domain")):
        if isinstance(node, ast.Call) and AMBIENT.search(dotted(node.func)):
            ambient.append(f"{place} {dotted(node.func)}()")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        ambient += [f"{place} import {module}" for module in names if module.split(".")[0] in MODULES]
    assert not ambient, "take it as an argument: gateways and infra/clock.py read clocks and make ids"


def test_the_domain_has_no_floats() -> None:
    floats = []
    for place, node in nodes(python("domain")):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            floats.append(f"{place} {node.value}")
        if isinstance(node, ast.Name) and node.id == "float":
            floats.append(f"{place} float")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            floats.append(f"{place} /")
    assert not floats, "use integers of a stated scale (domain/kernel/money.py), and // instead of /"


def test_no_amount_is_a_float_anywhere() -> None:
    floats = []
    for place, node in nodes(shipped()):
        if isinstance(node, ast.arg) and node.annotation is not None:
            called, annotation = node.arg, ast.unparse(node.annotation)
        elif isinstance(node, ast.AnnAssign):
            called, annotation = dotted(node.target).rsplit(".", 1)[-1], ast.unparse(node.annotation)
        else:
            continue
        if AMOUNT.search(called.lower()) and re.search(r"\bfloat\b", annotation):
            floats.append(f"{place} {called}: {annotation}")
    assert not floats, "amounts are Money, Price or Quantity: integers of a stated scale"


def test_the_domain_is_ours_and_not_another_package_of_that_name() -> None:
    file = domain.kernel.money.__file__
    assert file is not None
    assert name(Path(file)) == "domain/kernel/money.py", "remove the package that shadows ours"
