"""Every kind of forged token at one door, and one kind at every door: all get the answer of no token."""

from infra.avro.codec import Codec
from tests.faults.inputs import forging
from tests.faults.inputs.forging import FORGERIES


async def test_no_kind_of_forged_token_is_taken_at_any_door(codec: Codec) -> None:
    tried = await forging.run(len(FORGERIES), 24, codec)
    assert tried.count >= len(FORGERIES) > 300
    assert not tried.findings
