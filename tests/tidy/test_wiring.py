"""The table of contexts, the folders and the wiring sentences tell the same story."""

import ast
import re
from pathlib import Path

import pytest

import contexts
from infra.avro import contracts
from projections.orders.journal import journal
from tests.tidy.sources import LAYERS, ROOT, dotted, name, nodes, python, tracked, tree

SENTENCE = re.compile(r"^(?P<from>[^:]+?) -> (?P<to>[^:]+): \S.*\.$")
TOPIC = re.compile(r"\b[a-z_]+\.[a-z_]+\b")
DECIDING = ("commands.py", "events.py", "state.py", "decide.py")
NAMES = {context.name for context in contexts.CONTEXTS}
TOPICS = {spec.name for spec in contexts.topics()}
STREAMS = [path for path in python("streams") if len(path.relative_to(ROOT).parts) == 3 and path.name != "__init__.py"]


@pytest.mark.parametrize("path", STREAMS, ids=name)
def test_a_stream_opens_with_its_wiring_sentence(path: Path) -> None:
    first = (ast.get_docstring(tree(path)) or "").splitlines()[0]
    found = SENTENCE.match(first)
    assert found, "open with `sources -> where it goes: what it does.`, on one line"
    named = set(TOPIC.findall(found["from"] + " " + found["to"]))
    assert named, "name the topics it reads and writes"
    assert named <= TOPICS, f"no such topic: {sorted(named - TOPICS)}"


@pytest.mark.parametrize("context", contexts.CONTEXTS, ids=lambda context: context.name)
def test_a_row_has_a_folder_in_every_layer_that_it_needs(context: contexts.Context) -> None:
    needed = {f"domain/{context.name}/{file}" for file in (DECIDING if context.decider is not None else ())}
    if context.feeds:
        needed.add(f"domain/{context.name}/__init__.py")
    if context.sagas or context.effects or context.agents:
        needed.add(f"streams/{context.name}/__init__.py")
    if context.projections:
        needed.add(f"projections/{context.name}/__init__.py")
    if context.routes:
        needed.add(f"gateways/{context.name}/__init__.py")
    assert not needed - {name(path) for path in tracked()}, "write what is missing, in the shape of its file in orders"


@pytest.mark.parametrize("context", contexts.CONTEXTS, ids=lambda context: context.name)
def test_a_row_has_a_contract_for_every_message(context: contexts.Context) -> None:
    sources = contracts.sources()
    messages = [*context.commands, *context.events, *(feed.message for feed in context.feeds)]
    missing = [contracts.name_of(message) for message in messages if contracts.name_of(message) not in sources]
    assert not missing, f"write schemas/{context.name}/*.avsc first"
    assert not [message for message in messages if contracts.context_of(message) != context.name], (
        "a row owns its words"
    )


def test_every_folder_of_a_layer_is_a_context() -> None:
    shared = {"domain/kernel", "gateways/operations"}
    folders = {
        f"{layer}/{path.relative_to(ROOT).parts[1]}"
        for layer in LAYERS
        if layer != "infra"
        for path in python(layer)
        if len(path.relative_to(ROOT).parts) > 2
    }
    strange = {folder for folder in folders - shared if folder.split("/")[1] not in NAMES}
    assert not strange, "add a row to contexts.py, or move the file to the context that owns it"


def test_every_read_model_stream_and_decider_is_in_the_table() -> None:
    table = (ROOT / "contexts.py").read_text()
    projections = [path for path in python("projections") if "ReadModel(" in path.read_text() and len(path.parts) > 3]
    for path in [*STREAMS, *projections]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) == 3:
            listed = (
                f"from {'.'.join(parts[:2])} import {parts[2]}" in table or f"from {'.'.join(parts)} import" in table
            )
            assert listed, f"{name(path)} runs nowhere: name it in its row of contexts.py, or delete it"


def test_the_journal_has_the_events_of_every_decider() -> None:
    """Streams catch up from it to the end of every partition: of one that it does not take they would wait for ever."""
    deciding = {f"{context.name}.events" for context in contexts.CONTEXTS if context.decider is not None}
    assert set(journal.events) == deciding, "name them in projections/orders/journal.py"


def test_agents_are_never_run_concurrently() -> None:
    """Two workers of one agent would see one account's events in any order."""
    many = [
        place
        for place, node in nodes(python("streams", "infra"))
        if isinstance(node, ast.Call) and dotted(node.func).endswith(".agent")
        for keyword in node.keywords
        if keyword.arg == "concurrency" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value == 1)
    ]
    assert not many, "leave concurrency at 1, and use more partitions"


def test_only_the_writer_produces_to_event_topics() -> None:
    sagas = [path for path in STREAMS if re.search(r"-> [^:]*\.events\b", (ast.get_docstring(tree(path)) or "x"))]
    assert not sagas, "only deciders write events: send a command"
