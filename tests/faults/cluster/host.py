"""`python -m tests.faults.cluster.host BOOTSTRAP NAME`: the decider host of one context, as main.py has it for all.

accounts.commands -> accounts.events. It ends as the product's process ends, and whoever started it starts it again.
"""

import asyncio
import logging
import os
import signal
import sys

import contexts
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from infra.settings import PARTITIONS
from streams.deciders import Deciders, Owner
from tests.faults.cluster.workload import CONTEXT


async def run(bootstrap: str, name: str) -> None:
    """Own every partition until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    codec, sender = Codec(contexts.messages()), Sender(bootstrap, name)
    deciding = next(each for each in contexts.deciders() if each.context == CONTEXT)
    owners = [
        Owner(deciding, number, codec, wall, lambda topic, at: Protocol2Writer(bootstrap, topic, at))
        for number in range(PARTITIONS)
    ]
    host = Deciders(owners, Reader(bootstrap, f"{name}-commands"), DeadLetters(sender))
    try:
        await host.run(name, lambda title: Reader(bootstrap, title), stop)
    finally:
        for owner in owners:
            await owner.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(run(sys.argv[1], f"{sys.argv[2]}@{os.getpid()}"))
