"""F19 and F20: poison in every topic of commands, on a real broker, before the real host of all deciders.

Behind each batch of poison stands a good command, which must be decided. In the end every record that was sent is
accounted for: a dead letter that names its place and keeps it exactly, a decision that names its place, or a command
that was known already. F20 sends what other producers send: later and unknown schemas, other fields, other writers.
"""

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from confluent_kafka import KafkaException

import contexts
from deploy.local.kafka import LocalKafka, Profile
from domain.kernel.messages import Command, Event, Issued, Observed, OwnershipTaken
from gateways.operations import dead
from gateways.operations.dead import DeadLetter
from infra.avro.codec import Codec
from infra.clock import wall
from infra.commands import outgoing
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Outgoing
from infra.kafka.sender import Sender, SendFailed
from infra.kafka.topics import declare
from infra.settings import DEAD_LETTER_BYTES_MAX
from streams.deciders import Deciders, Owner
from streams.partition import Deciding
from tests.faults.inputs.poisons import POISONS, PRODUCER, Good, Made, Poison
from tests.faults.inputs.trials import Trial, Tried
from tests.schemas.examples import MESSAGES, encode, example

BATCH = 40
"""Poison records before the next good command."""
PARTITION = 1
STARTS_MAX = 8
"""How often the host is started again while a busy broker gives it no partition."""
SENDS_MAX = 5
"""How often a record is sent that a busy broker did not take in time."""
DECIDED_WITHIN_S = 300.0
"""How long the last good command may take, on a machine that does much else."""
NO_DECISION = "known already"
Sent = dict[tuple[str, int], tuple[Poison, Made, Trial]]


class Stream:
    """One topic of commands, and good commands for it."""

    def __init__(self, deciding: Deciding, codec: Codec) -> None:
        self.topic = f"{deciding.context}.commands"
        self.events = f"{deciding.context}.events"
        self._codec = codec
        self._kinds = itertools.cycle(deciding.commands)
        self._number = 0
        others: dict[str, type] = {
            "an event": next(each for each in MESSAGES if issubclass(each, Event) and each is not OwnershipTaken),
            "an owner's record": OwnershipTaken,
            "a command of another context": next(
                each for each in MESSAGES if issubclass(each, Command) and each not in deciding.commands
            ),
            "a feed's message": next(each for each in MESSAGES if issubclass(each, Observed)),
        }
        self._others = {name: encode(example(message)) for name, message in others.items()}

    def good(self) -> tuple[Outgoing, str]:
        """The next command and its id, of a stream of its own."""
        travelling = example(next(self._kinds))
        assert isinstance(travelling, Issued)
        self._number += 1
        command_id, stream = f"good-{self._number}", f"{self.topic}-stream-{self._number % 7}"
        command: Any = msgspec.structs.replace(travelling.command, at=wall(), actor="saga:test")
        issued: Issued[Any] = msgspec.structs.replace(
            travelling, command=command, command_id=command_id, stream_id=stream, tenant="acme"
        )
        return outgoing(self._codec, issued), command_id

    def poison(self, poison: Poison, chance: Random) -> Made:
        """A record of this kind, made of a fresh good command."""
        sent, _ = self.good()
        return poison.make(Good(key=sent.key, value=sent.value, others=self._others), chance)


async def run(count: int, seed: int, codec: Codec) -> Tried:
    """So many poison records over all topics of commands, kind after kind."""
    tried = Tried("F19")
    with tempfile.TemporaryDirectory(prefix="poisoning-") as folder:
        broker = LocalKafka(Path(folder) / "kafka", profile=Profile.TEST)
        broker.start()
        try:
            _declared(broker.bootstrap)
            await _poisoned(broker.bootstrap, count, seed, codec, tried)
        finally:
            broker.stop()
    return tried


def _declared(bootstrap: str) -> None:
    """Every topic; a broker that has just begun on a busy machine is asked again."""
    for _ in range(STARTS_MAX - 1):
        with contextlib.suppress(TimeoutError, KafkaException):
            return declare(bootstrap, list(contexts.topics()))
    return declare(bootstrap, list(contexts.topics()))


class Host:
    """The deciders' process as its supervisor keeps it: begun again while it cannot take its partitions over."""

    def __init__(self, bootstrap: str, codec: Codec) -> None:
        self._bootstrap = bootstrap
        self._codec = codec
        self._stop = asyncio.Event()
        self._burying = Sender(bootstrap, "burying")

    async def begin(self) -> None:
        """Return when every partition is owned."""
        for _ in range(STARTS_MAX):
            self._owners = [Owner(each, PARTITION, self._codec, wall, self._writer) for each in contexts.deciders()]
            self._reader = Reader(self._bootstrap, "deciders")
            host = Deciders(self._owners, self._reader, DeadLetters(self._burying))
            self.running = asyncio.create_task(host.run("poisoning", self._open_reader, self._stop))
            while not host.ready()[0] and not self.running.done():
                await asyncio.sleep(0.1)
            if not self.running.done():
                return
            await self._close()
        raise AssertionError(f"no host could begin: {self.running.exception()!r}")

    async def end(self) -> None:
        """As when it is asked to leave."""
        self._stop.set()
        await asyncio.gather(self.running, return_exceptions=True)
        await self._close()
        await self._burying.close()

    async def _close(self) -> None:
        for owner in self._owners:
            await owner.close()
        await self._reader.close()

    def _open_reader(self, name: str) -> Reader:
        return Reader(self._bootstrap, name)

    def _writer(self, topic: str, number: int) -> Protocol2Writer:
        return Protocol2Writer(self._bootstrap, topic, number)


async def _poisoned(bootstrap: str, count: int, seed: int, codec: Codec, tried: Tried) -> None:
    sender, host = Sender(bootstrap, "poisoning"), Host(bootstrap, codec)
    await host.begin()
    streams = [Stream(each, codec) for each in contexts.deciders()]
    sent: Sent = {}
    goods: dict[str, set[str]] = {stream.topic: set() for stream in streams}
    begun = time.monotonic()
    numbers = itertools.count()
    while len(sent) < count:
        for stream in streams:
            await _batch(sender, stream, numbers, seed, sent, goods)
    tried.figures["sent_s"] = round(time.monotonic() - begun, 1)
    try:
        await _account(bootstrap, streams, sent, goods, tried, host.running)
    finally:
        await host.end()
        await sender.close()
    tried.operations["good commands between"] = sum(map(len, goods.values()))
    tried.figures["all_s"] = round(time.monotonic() - begun, 1)


async def _batch(
    sender: Sender,
    stream: Stream,
    numbers: "itertools.count[int]",
    seed: int,
    sent: Sent,
    goods: dict[str, set[str]],
) -> None:
    """Poison, then a good command behind it."""
    made = []
    for number in itertools.islice(numbers, BATCH):
        trial = Trial(number, seed)
        poison = POISONS[number % len(POISONS)]
        made.append((poison, stream.poison(poison, trial.chance()), trial))
    good, command_id = stream.good()
    offsets = await asyncio.gather(*(_written(sender, stream.topic, each) for _, each, _ in made))
    await _written(sender, stream.topic, Made(good.key, good.value, good.headers))
    sent.update({(stream.topic, offset): one for offset, one in zip(offsets, made, strict=True)})
    goods[stream.topic].add(command_id)


async def _written(sender: Sender, topic: str, made: Made) -> int:
    """Where the record stands; what may have been written in vain before is one more record that nobody counts."""
    for _ in range(SENDS_MAX - 1):
        with contextlib.suppress(SendFailed):
            return await sender.send(topic, made.key, made.value, made.headers, PARTITION)
    return await sender.send(topic, made.key, made.value, made.headers, PARTITION)


async def _account(
    bootstrap: str,
    streams: list[Stream],
    sent: Sent,
    goods: dict[str, set[str]],
    tried: Tried,
    running: "asyncio.Task[None]",
) -> None:
    """Wait until every good command is decided, then say what became of each record."""
    decided: dict[str, dict[int, str]] = {stream.topic: {} for stream in streams}
    events = Reader(bootstrap, "accounting")
    codec = Codec(contexts.messages())
    await events.assign({(stream.events, PARTITION): BEGINNING for stream in streams})
    until = time.monotonic() + DECIDED_WITHIN_S
    missing = {topic: set(ids) for topic, ids in goods.items()}
    while any(missing.values()) and time.monotonic() < until and not running.done():
        for arrived in await events.take(2_000, 200):
            recorded = codec.decode_event(arrived.value)
            topic = arrived.topic.replace(".events", ".commands")
            if not isinstance(recorded.event, OwnershipTaken):
                decided[topic][recorded.command_position] = recorded.command_id
                missing[topic].discard(recorded.command_id)
    await events.close()
    if running.done():
        tried.broke("all", Trial(0, 0), f"the host ended: {running.exception()!r}")
    for topic, ids in missing.items():
        if ids:
            tried.broke("all", Trial(0, 0), f"{topic}: {len(ids)} good commands behind poison were not decided")
    letters = Reader(bootstrap, "letters")
    buried: dict[tuple[str, int], DeadLetter] = {}
    async for found in dead.letters(letters, [f"{stream.topic}.dead" for stream in streams]):
        topic, _, offset = found.source.rsplit(":", 2)
        buried[topic, int(offset)] = found
    await letters.close()
    causes: Counter[str] = Counter()
    for place, (poison, made, trial) in sent.items():
        letter: DeadLetter | None = buried.get(place)
        why = _unaccounted(poison, made, letter, place[1] in decided[place[0]])
        tried.kinds[poison.name] += 1
        tried.also["F20"] += poison.name.startswith(PRODUCER)
        fate = f"to the dead letters: {letter.cause}" if letter else "decided on the tape"
        causes[fate if letter or place[1] in decided[place[0]] else NO_DECISION] += 1
        if why:
            tried.broke(f"{poison.name} in {place[0]}", trial, why)
    tried.operations.update(causes)


def _unaccounted(poison: Poison, made: Made, letter: DeadLetter | None, is_decided: bool) -> str:
    """Why the fate of this record is not what it must be."""
    if letter is None:
        if poison.is_dead:
            return "it is not among the dead letters"
        return "" if is_decided else "neither a dead letter nor a decision names it"
    if is_decided:
        return "it was decided and is among the dead letters too"
    if not letter.cause or letter.size != len(made.value):
        return f"its dead letter has cause {letter.cause!r} and says {letter.size} bytes of {len(made.value)}"
    kept = (letter.key, letter.value, letter.headers)
    if kept != (made.key, made.value[:DEAD_LETTER_BYTES_MAX], dict(made.headers)):
        return "its dead letter does not keep it exactly: sent again it would be another record"
    return ""
