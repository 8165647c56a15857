"""What `domain/audit/replay.py` folded -> an account's past as people and programs read it."""

from collections.abc import Mapping

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.audit.replay import Past
from gateways.views import Json, Shown, shown, time_text

out = Console()


def plain(past: Past) -> Shown:
    """One context for programs; `recorded_at` is that of the last event folded, null before the first."""
    return {
        "state": shown(past.state),
        "version": past.version,
        "sequence": past.sequence,
        "recorded_at": time_text(past.recorded_at) if past.events else None,
        "events": past.events,
    }


def show(pasts: Mapping[str, Past]) -> None:
    """Every context that knew the account, a table each; what is empty is left out."""
    for context, past in pasts.items():
        if not past.events:
            continue
        found = plain(past)
        last = f"the last of sequence {past.sequence}, {found['recorded_at']}"
        out.print(f"{context}: {past.events} events, {last}", highlight=False, soft_wrap=True)
        table = Table(show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in found["state"].items():
            if value not in ("", {}, [], None):
                table.add_row(name, _lines(value))
        out.print(table)
    silent = ", ".join(context for context, past in pasts.items() if not past.events)
    if silent:
        out.print(f"nothing by then in {silent}", highlight=False)


def _lines(value: Json) -> str:
    """One thing a line, for maps and lists; ids and words of somebody may look like markup."""
    if isinstance(value, dict):
        return "\n".join(f"{escape(name)}  {_line(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "\n".join(map(_line, value))
    return _line(value)


def _line(value: Json) -> str:
    if isinstance(value, dict):
        said = (f"{name} {_line(each)}" for name, each in value.items() if each not in ("", None))
        return ", ".join(said)
    return escape(value if isinstance(value, str) else msgspec.json.encode(value).decode())
