"""Breaks of the tape beside what the venue was told to lose: each found, explained, closed when it was said."""

from collections.abc import Iterable

import msgspec

from domain.kernel.messages import Event, Recorded
from domain.reconciliation import events as e


class Break(msgspec.Struct, kw_only=True):
    """One break: whose, what about, and how far it got."""

    account_id: str
    break_id: str
    reference: str
    is_explained: bool = False
    is_closed: bool = False


class Breaks:
    """Every break of a tape, by its id."""

    def __init__(self) -> None:
        self.known: dict[str, Break] = {}
        self.statements = 0

    def take(self, recorded: Recorded[Event]) -> None:
        """Follow one event."""
        match recorded.event:
            case e.BreakOpened() as event:
                opened = Break(account_id=recorded.stream_id, break_id=event.break_id, reference=event.reference)
                self.known[event.break_id] = opened
            case e.BreakExplained(break_id=break_id):
                self.known[break_id].is_explained = True
            case e.BreakClosed(break_id=break_id):
                self.known[break_id].is_closed = True
            case e.StatementMatched():
                self.statements += 1
            case _:
                pass

    def unexplained(self) -> list[Break]:
        """Those that nobody said anything of yet."""
        return [each for each in self.known.values() if not each.is_explained]

    def differences(self, lost: Iterable[str]) -> list[str]:
        """Executions that the venue lost and no break names, and breaks that are unexplained or open still."""
        named = {each.reference for each in self.known.values()}
        found = [f"execution {each} was lost by the venue and no break names it" for each in lost if each not in named]
        for each in self.known.values():
            for is_done, verb in ((each.is_explained, "explained"), (each.is_closed, "closed")):
                if not is_done:
                    found.append(f"{each.account_id}: break {each.break_id} was never {verb}")
        return found
