"""What the processes say about themselves: metrics, logs, and whether they live and are caught up.

Every metric is defined here and nowhere else, with what to do when it moves. Logs are JSON lines on standard error,
those of libraries too; a line that concerns one command has its correlation id, by which the lines of all processes are
joined. `serve_probes` opens /metrics, /healthz (alive) and /readyz (caught up).
"""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

Ready = Callable[[], tuple[bool, str]]
"""Whether the process has caught up, and one line that says why not."""

PROBE_BYTES_MAX = 1_024
"""Largest body of a probe: it needs none."""
PROBE_IDLE_SECONDS_MAX = 75.0
"""How long a scraper keeps a connection without a use: longer than it pauses."""
_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

DECISIONS = Counter(
    "tapeline_decisions_total", "Events appended. Flat under load: look at the owner's log.", ["context"]
)
REFUSALS = Counter(
    "tapeline_refusals_total", "Refusals appended. A jump of one reason: look at what changed.", ["context", "reason"]
)
APPEND_SECONDS = Histogram(
    "tapeline_append_seconds",
    "One batch to its clear end. Rising: look at the broker's disk and collector.",
    ["context"],
    buckets=_SECONDS,
)
UNCLEAR_ENDS = Counter(
    "tapeline_unclear_ends_total",
    "Ends that needed a take-over. More than one an hour: look at the network.",
    ["context"],
)
TERM = Gauge(
    "tapeline_term", "Term of the owner. Rising without a restart: two owners fight.", ["context", "partition"]
)
DEAD_LETTERS = Counter(
    "tapeline_dead_letters_total", "Records set aside. Not zero: `tapeline dead list`.", ["topic", "cause"]
)
LAG = Gauge(
    "tapeline_lag_records", "Records a reader is behind. Growing: the reader is too slow or stuck.", ["reader", "topic"]
)
CHAIN_BREAKS = Counter(
    "tapeline_chain_breaks_total", "Partitions stopped by a broken chain. Not zero: page, see the runbook.", ["reader"]
)
COMMANDS_SENT = Counter(
    "tapeline_commands_sent_total", "Commands sent by sagas, agents and effects. Flat: the source is quiet.", ["sender"]
)
ACKNOWLEDGE_SECONDS = Histogram(
    "tapeline_acknowledge_seconds",
    "POST to read-back answer. Rising: look at tapeline_append_seconds first.",
    ["route"],
    buckets=_SECONDS,
)
HTTP_ANSWERS = Counter("tapeline_http_answers_total", "Answers by status. 5xx: look at the gateway's log.", ["status"])
STREAM_CLIENTS = Gauge(
    "tapeline_stream_clients", "Open websockets and partners' streams. A sudden drop: look at the gateway's restarts."
)
STREAM_GAPS = Counter("tapeline_stream_gaps_total", "Gaps told to slow clients. Many: the fan-out is too slow.")
AUDIT_LEAVES = Gauge("tapeline_audit_leaves", "Leaves in the audit forest. Flat while events flow: look at audit.")
CHECKPOINTS = Counter("tapeline_audit_checkpoints_total", "Checkpoints signed. Flat while events flow: look at audit.")
SPANS = Counter(
    "tapeline_spans_total", "Spans of traces by outcome. Lost: look at the receiver of traces.", ["outcome"]
)


def configure(process: str, level: str) -> None:
    """JSON log lines on standard error, each with the name of the process; whatever ends it is such a line too."""

    def named(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line["process"] = process  # Not in a context variable: the threads of libraries have contexts of their own.
        return line

    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
    ]
    structlog.configure(
        processors=[*common, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, _part],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[of_libraries], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _ended
    threading.excepthook = lambda args: _ended(args.exc_type, args.exc_value, args.exc_traceback)


@contextmanager
def concerning(**ids: str) -> Iterator[None]:
    """Every line logged inside has these ids, and so has whatever fails inside, wherever it is logged."""
    ids = {name: value for name, value in ids.items() if value}
    with structlog.contextvars.bound_contextvars(**ids):
        try:
            yield
        except Exception as failure:
            failure.add_note(f"concerns {', '.join(f'{name} {value}' for name, value in ids.items())}")
            raise


def concerns(**ids: str) -> None:
    """Every line logged from here on in this task has these ids; none when none are given."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**ids)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part of a process."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return bound


async def serve_probes(port: int, ready: Ready, host: str = "127.0.0.1") -> web.AppRunner | None:
    """Open /metrics, /healthz and /readyz; port 0 opens nothing."""
    if port == 0:
        return None
    app = web.Application(client_max_size=PROBE_BYTES_MAX, handler_args={"keepalive_timeout": PROBE_IDLE_SECONDS_MAX})
    app.add_routes(probe_routes(ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def probe_routes(ready: Ready) -> list[web.RouteDef]:
    """The three routes, for a process that has a server of its own."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def caught_up(_: web.Request) -> web.Response:
        is_ready, why = ready()
        return web.json_response(
            {"status": "ready" if is_ready else "not ready", "why": why}, status=200 if is_ready else 503
        )

    return [web.get("/metrics", metrics), web.get("/healthz", alive), web.get("/readyz", caught_up)]


def _part(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The library's own name for its logger, where ours say `part`."""
    record: logging.LogRecord | None = line.get("_record")
    line["part"] = record.name if record else "unknown"
    return line


def _ended(kind: type[BaseException], what: BaseException | None, at: TracebackType | None) -> None:
    """What nobody caught, as a line."""
    if not issubclass(kind, KeyboardInterrupt):
        logger("process").critical("not caught", exc_info=(kind, what, at))
