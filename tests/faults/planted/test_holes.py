"""What planted bugs slipped through once, or what their rigs were wrongly told of, by the checker as it was."""

from pathlib import Path
from typing import Any

import msgspec

from domain.kernel.money import Money
from infra.avro.codec import Codec
from tests.faults.checker.judge import judge
from tests.faults.worlds import World

replace = msgspec.structs.replace


def found_in(world: World, tmp_path: Path) -> list[str]:
    return [f"{each.what}: {each.says}" for each in judge(world.write(tmp_path / "run")).findings]


def dearer_by_a_cent(recorded: Any) -> Any:
    """The note asks a cent more for its first fill, and all of its sums say so too."""
    event = recorded.event
    first = replace(event.lines[0], corrected=Money(event.lines[0].corrected + 1))
    sums = {"total": Money(event.total + 1), "invoice_total": Money(event.invoice_total + 1)}
    return replace(recorded, event=replace(event, lines=(first, *event.lines[1:]), **sums))


def test_a_credit_note_by_another_price_than_its_list_is_named(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place, index, _ = next(world.events("CreditNoteIssued", "billing.events"))
    world.rewrite(place, index, dearer_by_a_cent)
    assert any(each.startswith("unbalanced: CreditNoteIssued: by list 2") for each in found_in(world, tmp_path))


def test_a_saga_that_names_no_event_as_its_cause_is_named(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    place, index, _ = next(each for each in world.events("CashCredited") if each[2].actor.startswith("saga:"))
    world.rewrite(place, index, lambda recorded: replace(recorded, causation_id="a request"))
    assert any("names 'a request' as its cause" in each for each in found_in(world, tmp_path))


def test_the_last_frame_before_a_cut_is_missed_when_the_cursor_is_past_it(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    again = next(at for at, heard in enumerate(world.frames) if heard.what == "opened" and heard.cursor)
    assert world.frames[again - 1].what == "frame"
    del world.frames[again - 1]
    assert any(each.startswith("gap-untold") and "was never told" in each for each in found_in(world, tmp_path))


def test_requests_of_no_account_are_in_no_order_with_each_other(codec: Codec, tmp_path: Path) -> None:
    """Subscriptions of one desk stand in many partitions, whose sequences cannot be compared."""
    world = World(codec)
    world.history = [replace(entry, account="*") for entry in world.history]
    assert found_in(world, tmp_path) == []
