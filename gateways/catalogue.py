"""Topics and the docs of their contracts -> a catalogue of every field that travels: Markdown, JSON, and a page.

Nothing here is written by hand: a word that is missing is missing in `schemas/`.
"""

import html
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from domain.kernel.messages import Command, Event
from infra.avro import contracts
from infra.catalogue import Carried


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a contract; a `sealed` one holds ciphertext."""

    name: str
    type: str
    doc: str
    sealed: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message, its envelope, or a type that a field names."""

    name: str
    kind: str
    doc: str
    topics: tuple[str, ...] = ()
    key: str = ""
    schema_id: int = 0
    version: int = 0
    fields: tuple[Field, ...] = ()
    symbols: tuple[str, ...] = ()


def entries(carried: Iterable[Carried]) -> list[Entry]:
    """Every message by context and kind, then the types that their fields name."""
    sources, newest = contracts.sources(), {entry.name: entry for entry in contracts.locked()}
    topics: dict[type, list[Carried]] = {}
    for topic in carried:
        for message in topic.messages:
            topics.setdefault(message, []).append(topic)
    found = []
    for message, standing in topics.items():
        entry = newest[contracts.name_of(message)]
        made = _entry(entry.name, _kind(message), sources[entry.name])
        places = tuple(each.spec.name for each in standing)
        found.append(
            msgspec.structs.replace(made, topics=places, key=standing[0].key, schema_id=entry.id, version=entry.version)
        )
    messages = {each.name for each in found}
    types = [_entry(name, _kind_of_type(schema), schema) for name, schema in sources.items() if name not in messages]
    return found + types


def markdown(found: Iterable[Entry]) -> str:
    """The catalogue for readers of text."""
    lines = ["# Catalogue of all fields", ""]
    for each in found:
        lines += [f"## {each.name}", "", f"{_caption(each)} {each.doc}", ""]
        if each.symbols:
            lines += [", ".join(f"`{symbol}`" for symbol in each.symbols), ""]
        if each.fields:
            lines += ["| field | type | meaning |", "|---|---|---|"]
            lines += [f"| `{field.name}` | {_cell(field.type)} | {_cell(_meaning(field))} |" for field in each.fields]
            lines.append("")
    return "\n".join(lines)


def page(found: Iterable[Entry]) -> str:
    """The catalogue for a browser: one page, no script."""
    every = list(found)
    links = "\n".join(f'<li><a href="#{html.escape(each.name)}">{html.escape(each.name)}</a></li>' for each in every)
    return PAGE.format(links=links, entries="\n".join("".join(_shown(each)) for each in every))


def _shown(each: Entry) -> Iterator[str]:
    name = html.escape(each.name)
    yield f'<section id="{name}"><h2>{name}</h2><p>{html.escape(_caption(each))} {html.escape(each.doc)}</p>'
    if each.symbols:
        yield f"<p>{', '.join(f'<code>{html.escape(symbol)}</code>' for symbol in each.symbols)}</p>"
    if each.fields:
        yield "<table><tr><th>field</th><th>type</th><th>meaning</th></tr>"
        for field in each.fields:
            cells = (f"<code>{html.escape(field.name)}</code>", html.escape(field.type), html.escape(_meaning(field)))
            yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        yield "</table>"
    yield "</section>"


def _entry(name: str, kind: str, schema: dict[str, Any]) -> Entry:
    fields = tuple(
        Field(name=each["name"], type=_type(each["type"]), doc=each["doc"], sealed=bool(each.get("pii")))
        for each in schema.get("fields", ())
    )
    return Entry(name=name, kind=kind, doc=schema["doc"], fields=fields, symbols=tuple(schema.get("symbols", ())))


def _kind(message: type) -> str:
    if issubclass(message, Command):
        return "command"
    return "event" if issubclass(message, Event) else "feed message"


def _kind_of_type(schema: dict[str, Any]) -> str:
    return "choice" if schema["type"] == "enum" else "part"


def _type(kind: Any) -> str:
    """An Avro type in words."""
    if isinstance(kind, list):
        return " or ".join(_type(each) for each in kind if each != "null") + (" or nothing" if "null" in kind else "")
    if isinstance(kind, str):
        return kind.removeprefix("tapeline.")
    if kind["type"] == "array":
        return f"list of {_type(kind['items'])}"
    if kind["type"] == "map":
        return f"map of {_type(kind['values'])}"
    return f"{kind['type']} ({kind['logicalType']})" if "logicalType" in kind else _type(kind["type"])


def _caption(each: Entry) -> str:
    if not each.topics:
        return f"{each.kind.capitalize()}."
    keyed = f"keyed by {each.key}" if each.key else "the same in every partition"
    place = f"in {', '.join(each.topics)}, {keyed}; schema id {each.schema_id}, version {each.version}"
    return f"{each.kind.capitalize()} {place}."


def _meaning(field: Field) -> str:
    return f"{field.doc} Sealed: ciphertext under its subject's key." if field.sealed else field.doc


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline: catalogue of all fields</title>
<link rel="icon" href="/live/icon.svg">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
ul {{ columns: 3; }}
</style>
</head>
<body>
<h1>Catalogue of all fields</h1>
<nav><ul>
{links}
</ul></nav>
{entries}
</body>
</html>
"""
