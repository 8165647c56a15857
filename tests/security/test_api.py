"""The published contract, asked at its boundaries and by chance: no failed server, and every answer as promised."""

import pytest

from tests.security.api import ask, askers
from tests.security.door import Door

EXAMPLES = 5
"""Of each route by chance."""
SEED = 7


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [0, 1], ids=["who owns one account", "who oversees a tenant"])
def test_every_answer_keeps_the_contract(door: Door, number: int) -> None:
    token, account_id = askers(door)[number]
    found = ask(door, token=token, account_id=account_id, examples=EXAMPLES, seed=SEED)
    assert found.failures == []
    assert len(found.routes) >= 40, found.told
