"""Starts any process of the system; the only importer of `contexts.py`: the table on one side, the hosts on the other.

`./tapeline run NAME` is a process, `./tapeline prepare` makes topics, tables and keys, everything else is for people.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from pydantic import SecretStr

import contexts
from demo.play import play
from deploy.local.addresses import SETTINGS_FILE
from gateways import gateway, receipts, registry
from gateways.audit import cli as audit_cli
from gateways.audit import rest as audit_rest
from gateways.audit.evidence import Evidence
from gateways.operations import cli as operations_cli
from gateways.operations import live, schemas
from gateways.routes import Route
from infra import audit_key, memory, telemetry, tokens, tracing
from infra.audit_files import AuditFiles
from infra.avro import contracts
from infra.avro.codec import Codec
from infra.clock import wall
from infra.faust import worker
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.groups import Groups
from infra.kafka.guarded import GuardedWriter
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from infra.kafka.topics import declare
from infra.kafka.writer import TapeWriter
from infra.postgres import Database
from infra.settings import PARTITIONS, Settings, settings
from projections import cli as projections_cli
from projections import projector
from projections.audit.host import Audit
from projections.read_model import ReadModel
from streams.deciders import Deciders, Owner
from streams.effects import Effects, Tools
from streams.following import Follower
from streams.sagas import Sagas


def models() -> list[ReadModel]:
    """Every read model."""
    return [model for context in contexts.CONTEXTS for model in context.projections]


def routes(proving: Callable[[], Evidence] | None = None) -> list[Route]:
    """Every route of the gateway, whose proofs are made of what `proving` gives."""
    of_contexts = [route for context in contexts.CONTEXTS for route in context.routes]
    decode = Codec(contexts.messages()).decode_event
    return [
        *of_contexts,
        *receipts.ROUTES,
        *registry.ROUTES,
        *live.ROUTES,
        *audit_rest.routes(proving or evidence, decode),
    ]


ROOT = Path(__file__).resolve().parent


async def _database_version() -> str:
    """What the database says it is."""
    database = Database(settings().postgres, name="doctor")
    try:
        return str(await database.value("SELECT version()"))
    finally:
        await database.close()


HELP = """The tape of a brokerage, from the command line: trade, look, prove, operate.

`make up` starts a stack to talk to, `eval "$(./tapeline env)"` tells a shell where it is, `./tapeline token` says who
you are. Whatever answers takes `--json`.
"""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
app.add_typer(
    schemas.app(schemas.Declared(contexts.subjects, lambda: list(contexts.carried()), routes)), name="schemas"
)
app.add_typer(
    audit_cli.app(
        lambda: audit_cli.Tape(
            topics=contexts.audited(),
            decode=Codec(contexts.messages()).decode_event,
            deciders={deciding.context: deciding.decider for deciding in contexts.deciders()},
        )
    ),
    name="audit",
)
app.add_typer(
    projections_cli.app(settings, lambda: Codec(contexts.messages()), models()),
    name="projections",
)
operations_cli.attach(
    app,
    operations_cli.System(
        contexts=[deciding.context for deciding in contexts.deciders()],
        topics=list(contexts.topics()),
        codec=lambda: Codec(contexts.messages()),
        drift=lambda: list(contracts.drift(contexts.messages())),
        database=_database_version,
        feeds=[f"{context.name}.{feed.name}" for context in contexts.CONTEXTS for feed in context.feeds],
    ),
)
for context in contexts.CONTEXTS:
    if context.cli is not None:
        context.cli(app)

Process = Callable[[asyncio.Event], Awaitable[None]]


def reader(name: str) -> Reader:
    """A reader of the tape."""
    return Reader(settings().kafka, name)


def reader_of_values(name: str) -> Reader:
    """A reader for whoever lives by what records say and not by their headers."""
    return Reader(settings().kafka, name, with_headers=False)


def writer(topic: str, partition: int) -> TapeWriter:
    """A transactional writer of one partition, of the arm that the settings name."""
    if settings().writer == "guarded":
        return GuardedWriter(settings().kafka, topic, partition)
    return Protocol2Writer(settings().kafka, topic, partition)


async def deciders(stop: asyncio.Event) -> None:
    """Own every partition of every context that decides."""
    codec, sender = Codec(contexts.messages()), Sender(settings().kafka, "deciders")
    owners = [
        Owner(deciding, number, codec, wall, writer) for deciding in contexts.deciders() for number in range(PARTITIONS)
    ]
    host = Deciders(owners, reader("deciders-commands"), DeadLetters(sender))
    await telemetry.serve_probes(settings().metrics_port, host.ready)
    await host.run(f"deciders@{socket.gethostname()}:{os.getpid()}", reader_of_values, stop)
    for owner in owners:
        await owner.close()
    await sender.close()


async def sagas(stop: asyncio.Event) -> None:
    """Carry processes across aggregates."""
    codec, groups, sender = Codec(contexts.messages()), Groups(settings().kafka), Sender(settings().kafka, "sagas")
    every = [saga for context in contexts.CONTEXTS for saga in context.sagas]
    follower = Follower("sagas", Sagas.topics(every), reader("sagas"), groups, codec)
    host = Sagas(every, follower, sender, codec)
    await telemetry.serve_probes(settings().metrics_port, host.ready)
    await host.run(stop)
    await sender.close()


async def effects(stop: asyncio.Event) -> None:
    """Talk to the outside."""
    codec, sender = Codec(contexts.messages()), Sender(settings().kafka, "effects")
    tools = Tools(settings(), codec, wall, sender, Groups(settings().kafka), DeadLetters(sender), reader)
    host = Effects([effect for context in contexts.CONTEXTS for effect in context.effects], tools)
    await telemetry.serve_probes(settings().metrics_port, host.ready)
    await host.run(stop)
    await sender.close()


async def project(stop: asyncio.Event) -> None:
    """Keep every read model."""
    running = asyncio.create_task(projector.run(settings(), Codec(contexts.messages()), models()))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def audit(stop: asyncio.Event) -> None:
    """Grow the forest over everything that is audited, and sign it."""
    host = Audit(
        contexts.audited(), Codec(contexts.messages()).decode_event, reader("audit"), wall, settings().state_dir
    )
    await telemetry.serve_probes(settings().metrics_port, host.ready)
    await host.run(stop)


async def serve(stop: asyncio.Event) -> None:
    """Open the doors."""
    codec = Codec(contexts.messages())
    carried = list(contexts.carried())
    proving = evidence()
    await gateway.run(
        settings(), codec, routes(lambda: proving), [each.context for each in contexts.deciders()], stop, carried
    )


def evidence() -> Evidence:
    """What proofs are made of."""
    state_dir = settings().state_dir
    return Evidence(AuditFiles(state_dir), audit_key.verifier(state_dir), lambda: reader("evidence"))


PROCESSES: dict[str, Process] = {
    "deciders": deciders,
    "sagas": sagas,
    "effects": effects,
    "projector": project,
    "audit": audit,
    "gateway": serve,
}
AGENTS = "agents"
"""The one process whose loop is not ours: Faust's worker."""


@app.command()
def run(name: str) -> None:
    """Run one process until it is told to stop."""
    if name not in PROCESSES and name != AGENTS:
        raise typer.BadParameter(f"{name!r} is no process; there are {AGENTS}, {', '.join(PROCESSES)}")
    telemetry.configure(name, settings().log_level)
    tracing.configure(name, settings().otlp_url)
    memory.keep()
    try:
        if name == AGENTS:
            worker.run(settings(), Codec(contexts.messages()), contexts.agents())
        uvloop.run(_until_told(PROCESSES[name]))
    except Exception as failure:
        telemetry.logger(name).exception("the process ends")
        raise typer.Exit(1) from failure
    finally:
        tracing.close()


@app.command()
def env(
    name: Annotated[str, typer.Option(help="Of another stack: `demo`, or the NAME that `make up` was given.")] = "",
) -> None:
    """Print where the stack of `make up` is, as lines for a shell: eval "$(./tapeline env)"."""
    where = settings() if not name else _settings_of(name)
    for key, value in where.model_dump().items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        # A secret in the clear stays where it is; one that is named by its file is told by that name.
        if not isinstance(value, SecretStr) or text.startswith("@"):
            typer.echo(f"export TAPELINE_{key.upper()}={shlex.quote(text)}")


def _settings_of(stack: str) -> Settings:
    """What the stack of this name wrote down when it came up, whatever the environment says."""
    told = ROOT / ".tapeline" / stack / SETTINGS_FILE
    if not told.is_file():
        raise typer.BadParameter(f"no stack named {stack} was ever up here: `make up NAME={stack}` starts one")
    given = (line.partition("=") for line in told.read_text().splitlines())
    return Settings.model_validate({key.removeprefix("TAPELINE_").lower(): value for key, _, value in given})


@app.command()
def demo() -> None:
    """Play a real market with two hundred customers in it, and check every book at the end."""
    deciding = [deciding.context for deciding in contexts.deciders()]
    raise typer.Exit(play(ROOT, Codec(contexts.messages()), deciding))


@app.command()
def prepare() -> None:
    """Make what must be there before any process starts: topics, tables, keys. What is there and differs is refused."""
    declare(settings().kafka, contexts.topics(), settings().replication)
    tokens.Mint(settings().state_dir)
    audit_key.signer(settings().state_dir)
    asyncio.run(projector.declare(settings(), models()))


async def _until_told(process: Process) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await process(stop)


if __name__ == "__main__":
    app(prog_name="tapeline")
