"""Names of the test's own for everything that the effects read, write and remember."""

import pytest

from deploy.local.kafka import LocalKafka
from domain.executions.messages import VenueMessage
from infra.avro.codec import Codec
from infra.catalogue import Feed, deciding, fed
from infra.kafka.topics import declare
from streams.executions import interpret, venue
from streams.interpreting import interpreting
from tests.kit.hosting import Broker
from tests.streams.executions.floor import unique


@pytest.fixture
def broker(kafka: LocalKafka, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The real broker with topics that no other test knows; commands go to a topic that all share, by account."""
    run = unique("floor")
    for module, name, value in (
        (venue, "SOURCE", f"{run}.orders.events"),
        (venue, "FEED", f"{run}.messages"),
        (venue, "NAME", f"{run}.venue"),
        (venue, "SEEN_GROUP", f"{run}.seen"),
        (interpret, "FEED", f"{run}.messages"),
        (
            interpret,
            "interpret",
            interpreting(f"{run}.interpret", f"{run}.messages", VenueMessage, "orders", interpret.meaning),
        ),
    ):
        monkeypatch.setattr(module, name, value)
    specs = [*deciding(f"{run}.orders"), *fed(run, [Feed("messages", object)]), *deciding("orders")]
    declare(kafka.bootstrap, {spec.name: spec for spec in specs}.values())
    return Broker(kafka.bootstrap, codec)
