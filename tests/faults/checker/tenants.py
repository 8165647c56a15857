"""Bodies of answers and frames: nowhere in them is an id that belongs to another tenant.

Accounts, orders, transfers, executions and events have ids that no two tenants share; one that both have used (a client
chose it) gives neither away.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.faults.checker.evidence import Entry, Folder, Heard, Unreadable, chunks, lines
from tests.faults.checker.verdict import Findings


def judge(folder: Folder, names: dict[str, str], findings: Findings) -> None:
    """Look through all that anybody was told. `names` are the ids of the tape, each with its tenant."""
    if len({tenant for tenant in names.values() if tenant}) < 2:
        findings.not_judged.append("tenant: the tape has one tenant, nothing could be told to another")
        return
    for path in folder.histories():
        for chunk in chunks(path, Entry):
            for entry in chunk:
                if entry.kind != "invoke" and len(bytes(entry.body)) > 2:
                    says = f"the answer to {entry.asked} of {entry.client}"
                    _look(says, entry.tenant, entry.account, msgspec.json.decode(entry.body), names, findings)
    for path in folder.frames():
        tenants: dict[str, str] = {}
        for heard in lines(path, Heard):
            if heard.what == "opened":
                tenants[heard.client] = heard.tenant
            elif heard.what == "frame":
                if heard.client not in tenants:
                    raise Unreadable(f"{path}: {heard.client} hears before it opened a connection")
                where = f"a frame of {path.stem}/{heard.client}"
                _look(where, tenants[heard.client], None, heard.frame, names, findings)


def _look(where: str, tenant: str, account: str | None, body: Any, names: dict[str, str], findings: Findings) -> None:
    findings.judged["bodies"] += 1
    for text in _texts(body):
        owner = names.get(text, "")
        if owner and owner != tenant:
            findings.add("tenant", f"{where} shows {text} of {owner} to {tenant}", account=account)


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for each in body.values():
            yield from _texts(each)
    elif isinstance(body, list):
        for each in body:
            yield from _texts(each)
