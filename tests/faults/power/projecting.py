"""A tape in memory -> read models in PostgreSQL by the product's own projector, every commit written down.

    python -m tests.faults.power.projecting FOLDER --postgres DSN --seed N

After a batch is committed, commits.ndjson gets a line: how many records of the tape all read models reflect.
"""

import argparse
import asyncio
import random
import signal
from pathlib import Path

import msgspec

import contexts
from infra.avro.codec import Codec
from infra.postgres import Database
from tests.faults.histories import Log
from tests.kit.histories import choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import projector_of

CHOICES = 40_000
"""What customers did: more than a server gets to see before its last cut."""
BATCH_RECORDS_MAX = 6
PAUSE_SECONDS_MAX = 0.02
COMMITS = "commits.ndjson"


class Committed(msgspec.Struct, frozen=True):
    """All read models reflect so many records of the tape, from its first on."""

    records: int


def made(seed: int) -> Tape:
    """The tape of this seed, the same in every process."""
    tape = Tape(Codec(contexts.messages()))
    play(tape, choices_from(seed, CHOICES))
    return tape


async def project(dsn: str, folder: Path, seed: int) -> None:
    """Bring the read models on, batch by batch, until SIGTERM or until there is no more."""
    tape, chance, stop = made(seed), random.Random(seed), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = Database(dsn, name="projector")
    projector = await projector_of(database, tape.codec)
    at = 0
    with Log(folder / COMMITS) as log:
        while at < len(tape.arrived) and not stop.is_set():
            until = at + chance.randint(1, BATCH_RECORDS_MAX)
            await projector.apply(tape.arrived[at:until])
            assert not projector.trouble(), projector.trouble()
            log.write(Committed(min(until, len(tape.arrived))))
            at = until
            await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))
    await stop.wait()
    await projector.stop()
    await database.close()


def main() -> None:
    """Read the arguments and project until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power.projecting", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgres", required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(project(given.postgres, given.folder, given.seed))


if __name__ == "__main__":
    main()
