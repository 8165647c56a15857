"""Settings and agents -> one Faust worker in this process, until SIGTERM; its exit code is 0 then.

A worker is known to its group by its state folder, since a folder of tables belongs to one process: a restart within
the session takes its partitions up again and nobody else notices.
"""

import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import cache
from typing import Any, NoReturn

import faust
import mode.loop

from domain.kernel.ids import derived
from infra import telemetry
from infra.avro.codec import Codec
from infra.faust import topics, transport
from infra.faust.agent import APP_ID, Agent, App, Attach, Reached
from infra.faust.batch import BATCH_EVENTS_MAX, Batches, Host, die
from infra.faust.health import Health
from infra.faust.pulse import Pulse
from infra.faust.table import KeptTable
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.sender import Sender
from infra.settings import PARTITIONS, Settings

NOT_CONFIGURED = 78
"""EX_CONFIG: starting again does not help, somebody must change something."""
SESSION_SECONDS = 6.0
"""The broker's own minimum: partitions of a worker that died move after this long."""
HEARTBEAT_SECONDS = 1.0
STILL_SECONDS_MAX = SESSION_SECONDS - HEARTBEAT_SECONDS
"""A process that stood still longer may have lost its session."""
REBALANCE_SECONDS = 8.0
REQUEST_SECONDS = 40.0
COMMIT_SECONDS = 0.5
"""What a crash makes us read again; nothing depends on it but time."""
PRODUCER_SECONDS = 30.0
"""How long a broker may be away before the worker gives up and starts again; Faust's own would be twenty minutes."""
PRODUCER_BATCH_BYTES = 524_288
"""Half of what a broker takes as one record batch: the fewer they are, the fewer times a changelog waits for a disk."""

log = telemetry.logger("agents")


def run(  # noqa: PLR0913  what a worker is, one named argument each
    settings: Settings,
    codec: Codec,
    agents: Iterable[Attach],
    *,
    app_id: str = APP_ID,
    reached: Reached = lambda _: None,
    batch_events_max: int = BATCH_EVENTS_MAX,
) -> NoReturn:
    """Run these agents in this process. Exits naming the topic when one is not as they need it.

    What is fetched at once is limited as a batch is, so that runs are never larger than one.
    """
    attached = topics.attached(agents, app_id)
    try:
        topics.check(settings.kafka, attached)
    except topics.TopicsDiffer as difference:
        log.error("worker not started", why=str(difference))  # noqa: TRY400  # The message is the whole story.
        raise SystemExit(NOT_CONFIGURED) from difference
    for library in ("faust", "mode", "aiokafka", "infra.faust"):
        logging.getLogger(library).setLevel(logging.WARNING)  # They draw tables of every rebalance.
    mode.loop.use("uvloop")
    app = build(settings, codec, attached, reached, batch_events_max)
    health = Health(app, attached.agents, settings.metrics_port)
    worker = faust.Worker(app, health, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None  # It writes control characters even where nobody sees it turn.
    worker.execute_from_commandline()


def build(
    settings: Settings, codec: Codec, agents: App, reached: Reached, batch_events_max: int = BATCH_EVENTS_MAX
) -> faust.App:
    """The Faust app with these agents, not started."""
    transport.install()
    folder = (settings.state_dir / "faust" / agents.id).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    member = f"{socket.gethostname()}-{derived('worker', folder)}"
    app = faust.App(
        agents.id,
        broker=";".join(f"kafka://{each}" for each in settings.kafka.split(",")),
        store="rocksdb://",
        datadir=folder,
        autodiscover=False,
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        topic_replication_factor=settings.replication,
        table_standby_replicas=0,
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_rebalance_timeout=REBALANCE_SECONDS,
        broker_request_timeout=REQUEST_SECONDS,
        broker_max_poll_records=batch_events_max,
        broker_commit_interval=COMMIT_SECONDS,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_max_batch_size=PRODUCER_BATCH_BYTES,
        producer_request_timeout=PRODUCER_SECONDS,
        web_enabled=False,
        consumer_group_instance_id=member,
        canonical_url=f"http://{member}",  # The assignor tells workers apart by it; nothing listens there.
    )

    @cache  # One for all agents, and made in their loop.
    def host() -> Host:
        producer: Any = app.producer  # Ours, which `install` put in the place of Faust's.
        return Host(
            codec=codec,
            write=producer.write,
            dead=DeadLetters(Sender(settings.kafka, "agents-dead")),
            pulse=Pulse(STILL_SECONDS_MAX, lambda failure: die(agents.id, failure)),
            reached=reached,
            batch_events_max=batch_events_max,
        )

    for agent in agents.agents:
        _register(app, agent, host)
    return app


def _register(app: faust.App, agent: Agent[Any], host: Callable[[], Host]) -> None:
    table = KeptTable(app, agent.name)
    source = app.topic(*agent.sources, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    def follow(_: Any) -> Coroutine[Any, Any, None]:
        """Faust starts and stops the agent, and subscribes to its topics; what comes in passes its stream by."""
        lent, consumer = host(), app.consumer
        assert isinstance(consumer, transport.RunConsumer)
        inbox = consumer.inbox(agent.name, agent.sources, lent.batch_events_max)
        return Batches(agent, table, lent).follow(inbox)

    # One task per agent: order within a partition depends on it.
    app.agent(source, name=agent.name, concurrency=1)(follow)
