"""The operators' commands as they are typed: exit codes, JSON for programs, one line for a no."""

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateways.operations import cli
from infra.kafka.topics import TopicSpec
from infra.settings import settings
from infra.tokens import Scope, Verifier
from tests.kit.deciding import Installation
from tests.streams.test_deciders import opened

pytestmark = pytest.mark.kafka
Verb = Callable[..., Coroutine[Any, Any, Any]]


async def database() -> str:
    return "PostgreSQL 16"


@pytest.fixture
def verb(installation: Installation, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verb]:
    """Runs one verb in a thread against the installation."""
    monkeypatch.setenv("TAPELINE_KAFKA", installation.bootstrap)
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(state_dir))
    monkeypatch.setenv("TAPELINE_GATEWAY_PORT", "1")
    monkeypatch.setenv("COLUMNS", "250")
    settings.cache_clear()
    app = typer.Typer()
    topics = [TopicSpec(name=f"{installation.context}.commands.dead", partitions=1)]
    system = cli.System([installation.context], topics, lambda: installation.codec, list, database)
    cli.attach(app, system)

    async def run(*args: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, args)

    yield run
    settings.cache_clear()


async def test_the_status_names_every_partition(installation: Installation, verb: Verb) -> None:
    async with installation.running():
        await installation.command([opened()])
        await installation.events(1)
    (found,) = json.loads((await verb("status", "--json")).stdout)
    assert (found["topic"], found["term"], found["sequence"]) == (f"{installation.context}.events", 1, 1)
    assert f"{installation.context}.events 0" in (await verb("status")).stdout


async def test_inspect_shows_a_record_and_a_problem_is_exit_1(installation: Installation, verb: Verb) -> None:
    topic = f"{installation.context}.events"
    async with installation.running():
        await installation.command([opened()])
        await installation.events(1)
    shown = await verb("tape", "inspect", f"{topic}:0:0", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["type"]) == (0, "OwnershipTaken")
    lines = (await verb("tape", "inspect", f"{topic}:0:0")).stdout.splitlines()
    assert any("meta.sequence" in line and " 0 " in line for line in lines)
    await installation.raw(b"garbage")
    broken = await verb("tape", "inspect", f"{installation.context}.commands:0:1")
    assert broken.exit_code == 1
    assert "PROBLEM: NO_FRAME" in broken.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("tape", "inspect", "nonsense"), "is no tape position"),
        (("tape", "inspect", "nowhere.events:0:0"), "refused: nowhere.events"),
        (("tape", "count", "nowhere.events"), "Declare it first"),
        (("dead", "show", "nobody"), "no dead letter has the id nobody"),
        (("dead", "redrive", "nobody"), "no dead letter has the id nobody"),
    ],
)
async def test_what_is_not_there_is_said_without_a_traceback(verb: Verb, args: tuple[str, ...], said: str) -> None:
    answer = await verb(*args)
    assert answer.exit_code in {1, 2}
    assert said in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr


async def test_a_dead_letter_is_listed_shown_and_redriven(
    installation: Installation, verb: Verb, tmp_path: Path
) -> None:
    await installation.raw(b"gar[/]bage")
    async with installation.running():
        await installation.dead(1)
    letter = json.loads((await verb("dead", "list", "--json")).stdout)
    assert letter["cause"] == "NO_FRAME"
    assert letter["id"] in (await verb("dead", "list")).stdout
    shown = await verb("dead", "show", letter["id"], "--to", str(tmp_path / "bytes"))
    assert shown.exit_code == 0, shown.stderr
    assert "gar[/]bage" in shown.stdout
    told = json.loads((await verb("dead", "show", letter["id"], "--json")).stdout)
    assert (told["value"], told["source"]) == ("gar[/]bage", f"{installation.context}.commands:0:0")
    assert (tmp_path / "bytes").read_bytes() == b"gar[/]bage"
    again = json.loads((await verb("dead", "redrive", letter["id"], "--json")).stdout)
    assert again == {"position": f"{installation.context}.commands:0:1"}


async def test_the_doctor_ends_with_1_while_something_is_wrong(verb: Verb) -> None:
    said = await verb("doctor")
    assert said.exit_code == 1
    assert "remedy: start it (`make up`), or set TAPELINE_GATEWAY_PORT" in said.stdout
    findings = json.loads((await verb("doctor", "--json")).stdout)
    assert {each["what"] for each in findings} == {"kafka", "postgres", "contracts", "keys", "gateway"}


async def test_a_token_of_a_trader_names_a_new_account(verb: Verb, state_dir: Path) -> None:
    made = json.loads((await verb("token", "--json")).stdout)
    caller = Verifier(state_dir).verify(made["token"])
    assert caller.account == made["account_id"] == str(uuid.UUID(made["account_id"]))
    assert caller.scopes == {Scope.TRADE, Scope.READ}
    assert caller.tenant == "demo"


async def test_a_token_is_made_as_it_was_asked_for(verb: Verb, state_dir: Path) -> None:
    args = ("--tenant", "acme", "--sub", "bob", "--account", "*", "--scope", "risk", "--scope", "operate")
    said = await verb("token", *args, "--ttl-s", "60")
    caller = Verifier(state_dir).verify(said.stdout.strip())
    assert (caller.tenant, caller.sub, caller.account) == ("acme", "bob", "*")
    assert caller.scopes == {Scope.RISK, Scope.OPERATE}
    assert "every account of the tenant; scopes risk, operate; valid 60 s" in said.stderr


async def test_an_unknown_scope_is_refused_with_the_known_ones(verb: Verb) -> None:
    said = await verb("token", "--scope", "everything")
    assert said.exit_code == 2
    assert "audit" in said.stderr
