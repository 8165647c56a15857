"""Take-over and commit keep the laws in every order of events, and each protection is missed when it is not there."""

from collections.abc import Callable

import pytest

from tests.model.__main__ import amount, said
from tests.model.mutations import EVERYTHING_KEPT, MUTATIONS, SEVERAL_COORDINATORS, Mutation
from tests.model.owners import steps
from tests.model.search import search
from tests.model.states import Phase, Rules, State, first, visible


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rules", EVERYTHING_KEPT, ids=amount)
def test_no_order_of_events_breaks_a_law(rules: Rules, record_property: Callable[[str, object], None]) -> None:
    found = search(rules)
    record_property("states", found.states)
    print(said(amount(rules), found))
    assert not found.broken, said("everything kept", found)
    assert found.is_whole, "some states were never looked at"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_protection_that_is_left_out_is_missed(mutation: Mutation) -> None:
    found = search(mutation.rules)
    print(said(mutation.name, found))
    assert mutation.finds in found.broken, f"not missed: {said(mutation.name, found)}"


@pytest.mark.timeout(300)
def test_ids_whose_markers_overtake_each_other_lose_an_end() -> None:
    """What is open in docs/findings.ndjson: coordinators on several brokers that stop with markers under way."""
    found = search(SEVERAL_COORDINATORS.rules)
    assert SEVERAL_COORDINATORS.finds in found.broken, said(SEVERAL_COORDINATORS.name, found)


def test_the_last_command_can_be_decided_whoever_reigns() -> None:
    """A model in which nothing gets done keeps every law."""
    rules = Rules(faults=0)
    reigns: set[int] = set()
    seen: set[State] = {first(rules)}
    waiting = list(seen)
    while waiting:
        for _, after in steps(waiting.pop(), rules):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
                decided = [entry for entry in visible(after.log, rules) if entry.position == 1]
                reigns |= {entry.reign for entry in decided if after.owners[entry.reign].phase is Phase.READY}
    assert reigns == {0, 1}
