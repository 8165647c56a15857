"""`python -m tests.bench.stock_faust BOOTSTRAP RUN FOLDER`: the risk agent in Faust as it comes, guarded as ours is.

It checks the chain, refuses what a state has seen, puts each account once a batch, sends the same commands and awaits
them; its loop, its collector of cycles and the size of its batches are ours, its other settings are those with which it
was quickest. What it lacks is what our wrapper adds: it cannot read committed records only, and its commits crawl.
"""

import asyncio
import sys
import threading
import weakref
from typing import Any

import faust
import mode.loop
from faust.streams import _current_event

import contexts
from domain.kernel.messages import Issued, OwnershipTaken, Recorded
from domain.market_data.marks import Board, Mark, follow
from domain.risk import exposure
from domain.risk.at_stake import Exposure
from infra import memory
from infra.avro.codec import Codec
from infra.commands import outgoing
from infra.faust.batch import BATCH_EVENTS_MAX
from infra.faust.values import Values
from infra.kafka import chain
from infra.settings import PARTITIONS

BATCH_WAIT_SECONDS = 1.0  # As long as it takes Faust to gather a batch: with 0.02, as an agent would have it, 350 us.
STREAM_BUFFER_MAX = 65_536  # With its own 4,096 it waits a second whenever it has emptied a queue.


def app_of(bootstrap: str, run: str, folder: str) -> faust.App:
    """An app of one agent and one table, set to be quick."""
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    app = faust.App(
        f"{run}stock",
        broker=f"kafka://{bootstrap}",
        store="rocksdb://",
        datadir=folder,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=STREAM_BUFFER_MAX,
        broker_max_poll_records=BATCH_EVENTS_MAX,
        web_enabled=False,
    )
    source = app.topic(f"{run}.orders.events", f"{run}.risk.events", f"{run}.market_data.marks", **raw)
    commands = app.topic(f"{run}.risk.commands", **raw)
    table = app.Table("exposure", key_type=bytes, value_type=bytes, default=bytes, partitions=PARTITIONS)
    codec, values = Codec(contexts.messages()), Values(Exposure)
    links: dict[tuple[str, int], chain.Link] = {}
    boards: dict[int, Board] = {}

    @app.agent(source, concurrency=1)
    async def watch(stream: Any) -> None:
        async for events in stream.take_events(BATCH_EVENTS_MAX, within=BATCH_WAIT_SECONDS):
            changed: dict[bytes, tuple[Any, dict[str, int], Exposure]] = {}
            issued: list[Issued[Any]] = []
            for event in events:
                message = event.message
                if message.topic.endswith("market_data.marks"):
                    mark = codec.decode_observed(message.value, Mark)
                    boards[message.partition] = follow(boards.get(message.partition, Board()), mark)
                    continue
                recorded: Recorded[Any] = codec.decode_event(message.value)
                place = (message.topic, message.partition)
                links[place] = chain.follow(links.get(place), recorded, message.value, place=str(place))
                if isinstance(recorded.event, OwnershipTaken):
                    continue
                known = changed.get(message.key)
                if known is None:
                    kept = table.get(message.key, b"")
                    known = (event, *(values.decode(kept) if kept else ({}, Exposure())))
                _, seen, state = known
                if message.offset <= seen.get(message.topic, -1):
                    continue
                seen[message.topic] = message.offset
                state, made = exposure.on_event(state, recorded, boards.get(message.partition, Board()))
                issued += made
                changed[message.key] = (event, seen, state)
            records = [outgoing(codec, each) for each in issued]
            await asyncio.gather(*[await commands.send(key=record.key, value=record.value) for record in records])
            for key, (event, seen, state) in changed.items():
                _current_event.set(weakref.ref(event))
                table[key] = values.encode(seen, state)
            _current_event.set(None)

    return app


def main(bootstrap: str, run: str, folder: str) -> None:
    """Run until the input ends."""
    memory.keep()
    mode.loop.use("uvloop")
    worker = faust.Worker(app_of(bootstrap, run, folder), loglevel="warning", redirect_stdouts=False)
    worker.spinner = None

    def watch() -> None:
        sys.stdin.read()
        worker.loop.call_soon_threadsafe(worker.on_worker_shutdown)

    threading.Thread(target=watch, daemon=True).start()
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:])
