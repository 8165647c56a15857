"""The arm of the product: a request of its decider host's writer is taken, and the late copy comes when it may hurt.

A trial is over when every command that was sent has its event. Then the tape is read through another client, and once
a batch is over the independent checker judges the whole of it.
"""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import kafka

from infra.kafka.writer import IDS_PER_PARTITION
from tests.faults.checker import collect, commands, tape
from tests.faults.checker.avro import PROJECT_SCHEMAS, Schemas
from tests.faults.checker.evidence import Folder
from tests.faults.checker.verdict import Findings
from tests.faults.ghosts.host import Haunt, deposit
from tests.faults.ghosts.outcome import Outcome, Variant
from tests.faults.ghosts.proxy import APIS, Fate, Theft

WITHIN = "inside a later transaction of the same id"
BETWEEN = "inside the next transaction"
AT_ONCE = "beside the take-over"
SENT = ("Produce", "EndTxn")
"""What our writer sends: offsets are no part of its transactions."""
SILENT_SECONDS_MAX = 30.0


def variants() -> list[Variant]:
    """Each request that is sent, in each fate, arriving where it may do harm."""
    late = [
        Variant(api, fate, around)
        for api in SENT
        for fate in (Fate.HELD, Fate.REPEATED)
        for around in (WITHIN, BETWEEN, AT_ONCE)
    ]
    return [*late, *(Variant(api, Fate.DROPPED, BETWEEN) for api in SENT)]


class Haunting:
    """Trials against one host that lives as long as the batch."""

    def __init__(self, haunt: Haunt, bootstrap: str, topic: str) -> None:
        self._haunt = haunt
        self._bootstrap = bootstrap
        self._topic = topic
        self._eyes = _Eyes(bootstrap, topic)
        self._eyes.new()  # What stands there already is of no trial.

    async def play(self, variant: Variant, number: int, chance: random.Random) -> Outcome | None:
        """One trial; None when nothing was taken."""
        haunt, outcome = self._haunt, Outcome(variant=variant, trial=number)
        begun = len(haunt.sent)
        theft = haunt.proxy.steal_next(APIS[variant.api], variant.fate)
        turn = (haunt.writer.turn + 1) % IDS_PER_PARTITION
        racing = asyncio.create_task(self._at_once(theft, outcome, chance)) if variant.around == AT_ONCE else None
        await haunt.decide(deposit(f"{number}.stolen"))
        haunt.proxy.call_off()
        if racing is not None:
            await racing
        while variant.around == WITHIN and (haunt.writer.turn + 1) % IDS_PER_PARTITION != turn:
            await haunt.decide(deposit(f"{number}.between.{haunt.writer.turn}"))
        if variant.around != AT_ONCE and variant.fate is not Fate.DROPPED:
            haunt.writer.meanwhile = lambda: self._release(theft, outcome)
        await haunt.decide(deposit(f"{number}.haunted"))
        await haunt.decide(deposit(f"{number}.after"))
        await asyncio.to_thread(self._judge, outcome, haunt.sent[begun:])
        return outcome if theft.is_taken() else None

    def close(self) -> None:
        """Look no more."""
        self._eyes.close()

    def judge_all(self, context: str) -> Findings:
        """The independent checker over all that was written since the beginning."""
        findings = Findings()
        with tempfile.TemporaryDirectory() as made:
            root = Path(made)
            collect.topics(self._bootstrap, root)
            collect.finish(root, is_quiet=False)
            for dumped in (root / "topics").glob("*.*"):
                if dumped.is_dir() and not dumped.name.startswith(f"{context}."):
                    shutil.rmtree(dumped)  # Of another batch on the same broker.
            folder, schemas = Folder(root), Schemas(PROJECT_SCHEMAS)
            commands.judge(folder, tape.read(folder, schemas, findings), schemas, findings)
        return findings

    async def _at_once(self, theft: Theft, outcome: Outcome, chance: random.Random) -> None:
        await theft.taken()
        await asyncio.sleep(chance.uniform(0, 0.02))
        await self._release(theft, outcome)

    @staticmethod
    async def _release(theft: Theft, outcome: Outcome) -> None:
        outcome.is_delivered = True
        outcome.ghost = await theft.release()

    def _judge(self, outcome: Outcome, sent: list[str]) -> None:
        seen = self._eyes.new()
        for command in sent:
            if not seen[command]:
                outcome.lost.append(command)
            if seen[command] > 1:
                outcome.doubled.append(command)
        outcome.phantom += [command for command in seen if command not in sent]


class _Eyes:
    """What a read_committed reader of kafka-python finds on the tape since it looked last."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._place = kafka.TopicPartition(topic, 0)
        self._consumer: Any = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._consumer.assign([self._place])

    def new(self) -> Counter[str]:
        """Events by their command, but for those of owners."""
        found: Counter[str] = Counter()
        end = self._consumer.end_offsets([self._place])[self._place]
        while self._consumer.position(self._place) < end:
            for records in self._consumer.poll(200).values():
                found.update(
                    dict(record.headers)["command-id"].decode()
                    for record in records
                    if not record.key.startswith(b"owner/")
                )
        return found

    def close(self) -> None:
        self._consumer.close()
