"""One tamper of every kind: found by each tool that must, its place named."""

from infra.avro.codec import Codec
from tests.faults.inputs import tampering


async def test_every_kind_of_tamper_is_found_and_its_place_named(codec: Codec) -> None:
    tried = await tampering.run(len(tampering.KINDS), 20, codec)
    assert tried.count == len(tampering.KINDS) == len(tried.kinds)
    assert not tried.findings
