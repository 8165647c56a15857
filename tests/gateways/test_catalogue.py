"""The catalogue of all fields, made from the contracts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import contexts
import main
from gateways import catalogue
from infra.avro import contracts
from tests.kit.doors import Client

ENTRIES = catalogue.entries(contexts.carried())


def test_has_every_field_of_every_contract_with_its_meaning() -> None:
    found = {(each.name, field.name): field.doc for each in ENTRIES for field in each.fields}
    written = {
        (name, field["name"]): field["doc"]
        for name, schema in contracts.sources().items()
        for field in schema.get("fields", ())
    }
    assert found == written


def test_says_where_each_message_stands() -> None:
    found = {each.name: each for each in ENTRIES}
    placed = found["tapeline.orders.OrderPlaced"]
    assert (placed.kind, placed.topics, placed.key) == ("event", ("orders.events",), "account_id")
    taken = found["tapeline.kernel.OwnershipTaken"]
    assert set(taken.topics) == {f"{each.context}.events" for each in contexts.deciders()}
    assert found["tapeline.orders.Side"].symbols == ("BUY", "SELL")


def test_marks_what_is_sealed() -> None:
    schema = {"doc": "d", "fields": [{"name": "name_sealed", "type": "bytes", "doc": "A name.", "pii": True}]}
    entry = catalogue._entry("x", "event", schema)
    assert "Sealed" in catalogue.markdown([entry])


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a | b"])
def test_shows_any_text_as_text(text: str) -> None:
    entry = catalogue.Entry(
        name="x", kind="event", doc=text, fields=(catalogue.Field(name="f", type="string", doc=text),)
    )
    assert "<script>" not in catalogue.page([entry])
    assert all(line.count(" | ") == 2 for line in catalogue.markdown([entry]).splitlines() if line.startswith("| `"))


async def test_is_a_page_that_anybody_may_read(trader: Client) -> None:
    response, page = await trader.with_token("").ask("GET", "/catalogue")
    assert response.status == 200
    assert "script" not in response.headers["Content-Security-Policy"]
    for entry in ENTRIES:
        assert f'id="{entry.name}"' in page.decode()


def test_is_printed_for_people_and_for_programs() -> None:
    runner = CliRunner()
    said = runner.invoke(main.app, ["schemas", "catalogue"])
    assert "## tapeline.orders.OrderFilled" in said.stdout
    told = json.loads(runner.invoke(main.app, ["schemas", "catalogue", "--json"]).stdout)
    assert {each["name"] for each in told} == {each.name for each in ENTRIES}


def test_what_streams_is_told_where_nothing_was_ever_started(tmp_path: Path) -> None:
    env = {**os.environ, "TAPELINE_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "main.py", "schemas", "asyncapi"]
    done = subprocess.run(command, cwd=main.ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["asyncapi"] == "3.0.0"
