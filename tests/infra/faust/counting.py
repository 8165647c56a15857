"""An agent that only counts, and a worker that can be told where to die: `python -m tests.infra.faust.counting ORDER`.

The same worker runs the agents of the system, on topics whose names begin with the run's. What the counting agent
sends and keeps lets a reader see every repetition: each command names the how-manieth event of its source it is, each
state knows which marks it has met.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from immutables import Map

import contexts
from domain.executions.messages import VenueMessage
from domain.kernel.ids import BreachId, Micros, derived
from domain.kernel.messages import Heard, Issued, Recorded, Unreadable
from domain.market_data.marks import Board
from domain.orders.events import CashCredited
from domain.risk.commands import Measure, ReportBreach
from infra import memory, telemetry
from infra.avro.codec import Codec
from infra.faust import worker
from infra.faust.agent import Agent, App, Step
from infra.faust.batch import BATCH_EVENTS_MAX
from infra.settings import Settings
from streams.billing import charges
from streams.orders import day_end
from streams.reconciliation import matching
from streams.risk import exposure

UNREADABLE = b"unreadable"


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How often each kind of event came and their sum, what was heard, the broadcasts known, the run of marks."""

    events: Map[str, int] = Map()
    total: int = 0
    heard: int = 0
    known: int = 0
    mark_first: int = -1
    mark_last: int = -1
    marks: int = 0


class Known(msgspec.Struct, frozen=True):
    """The fold of the broadcast: its length, while its messages come in their order."""

    count: int = 0


Counted = tuple[Count, Sequence[Issued[ReportBreach]]]


def on_event(state: Count, recorded: Recorded[Any], board: Board, known: Known) -> Counted:
    event = recorded.event
    kind = type(event).__name__
    amount = event.amount if isinstance(event, CashCredited) else 1
    count = state.events.get(kind, 0) + 1
    counted = msgspec.structs.replace(state, events=state.events.set(kind, count), total=state.total + amount)
    return counted, (_command(recorded.stream_id, recorded.event_id, count),)


def on_feed(state: Count, heard: Heard[VenueMessage], board: Board, known: Known) -> Counted:
    message = heard.message
    if message.body == UNREADABLE:
        raise Unreadable(f"message {message.source_id} says nothing")
    counted = msgspec.structs.replace(state, heard=state.heard + 1)
    return counted, (_command(message.account_id, message.source_id, counted.heard),)


def fold_broadcast(known: Known, message: VenueMessage) -> Known:
    assert message.sequence == known.count, "a broadcast was missed or doubled"
    return Known(known.count + 1)


def on_mark(state: Count, board: Board, known: Known) -> Counted:
    first = board.sequence if state.mark_first < 0 else state.mark_first
    counted = msgspec.structs.replace(
        state, mark_first=first, mark_last=board.sequence, marks=state.marks + 1, known=known.count
    )
    return counted, ()


def _command(account: str, cause: str, count: int) -> Issued[ReportBreach]:
    return Issued(
        command=ReportBreach(
            at=Micros(1),
            actor="agent:test.counting",
            breach_id=BreachId(cause),
            measure=Measure.ORDER_RATE,
            observed=count,
            allowed=0,
            mark_sequence=0,
            book_version=0,
        ),
        command_id=derived("count", cause),
        tenant="t",
        stream_id=account,
        causation_id=cause,
        correlation_id=cause,
    )


def agent_of(run: str) -> Agent[Count]:
    """The agent of one test: its topics begin with the run's name."""
    return Agent(
        name=f"{run}.counting",
        events=(f"{run}.orders.events", f"{run}.risk.events"),
        feeds=(f"{run}.executions.messages",),
        broadcasts=(f"{run}.lists",),
        marks=f"{run}.market_data.marks",
        commands=f"{run}.commands",
        initial=Count(),
        shared=Known(),
        on_event=on_event,
        on_feed=on_feed,
        on_mark=on_mark,
        fold_broadcast=fold_broadcast,
    )


def agents_of(run: str, names: Sequence[str]) -> list[Agent[Any]]:
    """These agents, on the topics of this run."""
    app = App()
    if "risk.exposure" in names:
        exposure.attach(app)
    if "orders.day_end" in names:
        day_end.attach(app)
    if "reconciliation.matching" in names:
        matching.attach(app)
    if "billing.charges" in names:
        charges.attach(app)
    moved = [
        msgspec.structs.replace(
            agent,
            events=tuple(f"{run}.{topic}" for topic in agent.events),
            broadcasts=tuple(f"{run}.{topic}" for topic in agent.broadcasts),
            feeds=tuple(f"{run}.{topic}" for topic in agent.feeds),
            marks=f"{run}.{agent.marks}",
            commands=f"{run}.{agent.commands}",
        )
        for agent in app.agents
    ]
    return [*moved, *([agent_of(run)] if "counting" in names else [])]


class Assassin:
    """Kills the process when a step was reached so many times; an empty step kills nobody."""

    def __init__(self, step: str, times: int) -> None:
        self._step = step
        self._left = times

    def __call__(self, step: Step) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    order = json.loads(sys.argv[1])
    telemetry.configure("agents", "INFO")
    memory.keep()

    def attach(app: App) -> None:
        for agent in agents_of(order["run"], order["agents"]):
            app.add(agent)

    worker.run(
        Settings(),
        Codec(contexts.messages()),
        [attach],
        app_id=order["run"],
        reached=Assassin(order.get("step", ""), order.get("times", 0)),
        batch_events_max=order.get("batch", BATCH_EVENTS_MAX),
    )


if __name__ == "__main__":
    main()
