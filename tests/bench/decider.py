"""`python -m tests.bench.decider BOOTSTRAP CONTEXT`: our host of deciders, for orders under the name of one round.

It says `owned` once it decides, and ends in order when its input ends.
"""

import asyncio
import sys

import contexts
from domain.orders.decide import orders
from infra import memory, telemetry
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from infra.settings import PARTITIONS
from streams.deciders import Deciders, Owner
from streams.partition import Deciding
from tests.bench.stage import run


async def main(bootstrap: str, context: str) -> None:
    """Own the four partitions of this context until the input ends."""
    telemetry.configure("bench-decider", "WARNING")
    memory.keep()
    codec, sender = Codec(contexts.messages()), Sender(bootstrap, "deciders")
    deciding = Deciding(context, orders, next(each.commands for each in contexts.CONTEXTS if each.name == "orders"))

    def writer(topic: str, partition: int) -> Protocol2Writer:
        return Protocol2Writer(bootstrap, topic, partition)

    def reader(name: str) -> Reader:
        return Reader(bootstrap, name)

    owners = [Owner(deciding, number, codec, wall, writer) for number in range(PARTITIONS)]
    host, stop = Deciders(owners, reader("bench-commands"), DeadLetters(sender)), asyncio.Event()
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: stop.set())
    running = asyncio.create_task(host.run("bench", reader, stop))
    while host.ready()[1] == "taking partitions over" and not running.done():
        await asyncio.sleep(0.001)
    print("owned", flush=True)
    await running
    await asyncio.gather(*(owner.close() for owner in owners), sender.close())


if __name__ == "__main__":
    run(lambda: main(*sys.argv[1:]))
