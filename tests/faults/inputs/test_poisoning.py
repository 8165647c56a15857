"""Every kind of poison before every decider: set aside or decided, never its end, and the next command goes on."""

import random

import pytest

import contexts
from domain.kernel.ids import Micros
from infra.avro.codec import Codec
from infra.kafka.records import Arrived
from streams.partition import Deciding, OwnedPartition
from tests.faults.inputs import poisoning
from tests.faults.inputs.poisoning import Stream
from tests.faults.inputs.poisons import POISONS

ROUNDS = 3


@pytest.mark.parametrize("deciding", contexts.deciders(), ids=lambda deciding: deciding.context)
def test_no_kind_of_poison_ends_a_decider_or_keeps_a_good_command_from_it(deciding: Deciding, codec: Codec) -> None:
    stream, owned = Stream(deciding, codec), OwnedPartition(deciding, 0, codec, lambda: Micros(1))
    offset = 0
    for number in range(ROUNDS * len(POISONS)):
        poison = POISONS[number % len(POISONS)]
        made = stream.poison(poison, random.Random(number))
        good, command_id = stream.good()
        arrived = [
            Arrived(stream.topic, 0, offset, made.key, made.value, dict(made.headers)),
            Arrived(stream.topic, 0, offset + 1, good.key, good.value, dict(good.headers)),
        ]
        batch = owned.decide(arrived)
        owned.keep(batch)
        assert batch.taken == 2
        assert batch.dead or not poison.is_dead, poison.name
        assert batch.records[-1].headers["command-id"] == command_id.encode(), poison.name
        offset += 2


@pytest.mark.kafka
async def test_poison_on_a_broker_is_kept_exactly_and_the_partitions_go_on(codec: Codec) -> None:
    tried = await poisoning.run(len(POISONS), 19, codec)
    assert tried.count >= len(POISONS) > 200
    assert not tried.findings
