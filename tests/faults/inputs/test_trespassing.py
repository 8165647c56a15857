"""Another tenant's ids at every door of the contract: told as ids that nobody has, over HTTP and the socket."""

import re
from pathlib import Path

import pytest

from infra.avro.codec import Codec
from tests.faults.inputs import trespassing
from tests.faults.inputs.trespassing import Installation
from tests.kit.doors import NOBODY_LISTENS


@pytest.mark.postgres
async def test_no_door_tells_of_another_tenant(codec: Codec) -> None:
    tried = await trespassing.run(100_000, 27, codec)
    assert tried.count > 600
    assert not tried.findings


def test_every_path_of_the_contract_that_has_an_id_is_tried(codec: Codec, tmp_path: Path) -> None:
    installation = Installation(codec, tmp_path, NOBODY_LISTENS)
    tried = {asked.path.partition("?")[0] for asked in installation.requests()}
    for path in trespassing.described(installation):
        names = [name for name in re.findall(r"\{(\w+)[^}]*\}", path) if name not in trespassing.PUBLIC]
        if names:
            assert trespassing.filled(path, names, [installation.theirs] * len(names)) in tried, path
