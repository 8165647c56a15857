"""executions.messages beside the books: what the venue said of its executions is what the accounts have of them.

The venue's own words stand raw on the feed, so shares and prices are known from a source that no decider has touched.
"""

import json
from decimal import Decimal
from typing import Any, NamedTuple

from tests.faults.checker.avro import Garbage, Schemas
from tests.faults.checker.evidence import Folder, Record, lines
from tests.faults.checker.sums import SCALE
from tests.faults.checker.tape import Event
from tests.faults.checker.verdict import Findings

FEED = "executions.messages"


class Execution(NamedTuple):
    """What changed hands, by the venue or by the book."""

    account: str
    symbol: str
    side: str
    quantity: int
    price: int


class Venue:
    """Executions by their ids; give it the fills of the books, then hold them against the feed."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._filled: dict[tuple[str, str], tuple[Execution, dict[str, Any]]] = {}

    def take(self, event: Event) -> None:
        """The next event of `orders`."""
        if event.kind != "OrderFilled":
            return
        says, account = event.says, event.meta["stream_id"]
        key = (event.meta["tenant"], says["execution_id"])
        other = self._filled.get(key)
        if other is not None and other[0].account != account:
            says_of = f"execution {key[1]} is in the book of {other[0].account} too"
            self._findings.add("duplicated", says_of, **event.place)
        execution = Execution(account, says["symbol"], says["side"], says["quantity"], says["price"])
        self._filled[key] = (execution, event.place)

    def judge(self, folder: Folder, schemas: Schemas) -> None:
        """The feed and the books have the same executions; of a run that is not quiet some may be under way."""
        told: dict[tuple[str, str], Execution] = {}
        due: set[tuple[str, str]] = set()
        files = list(folder.partitions(FEED))
        if not files:
            self._findings.not_judged.append(f"executions: {FEED} was not dumped")
            return
        for topic, number, path in files:
            for record in lines(path, Record):
                found = _execution(schemas, record)
                if found is not None:
                    told[found[0]] = found[1]
                    if folder.is_due(topic, number, record.offset):
                        due.add(found[0])
        self._findings.judged["executions"] += len(told)
        for key, (execution, place) in self._filled.items():
            if told.get(key) != execution:
                says = f"execution {key[1]}: the book has {execution}, the venue said {told.get(key)}"
                self._findings.add("unbalanced", says, **place)
        for key in due - self._filled.keys():
            says = f"execution {key[1]} of {told[key]} is in no book"
            self._findings.add("lost", says, topic=FEED, account=told[key].account)


def _execution(schemas: Schemas, record: Record) -> tuple[tuple[str, str], Execution] | None:
    """The execution that a message of the venue tells of, if it is one that can be read."""
    try:
        _, says = schemas.read(record.value)
        body = json.loads(says["body"])
        if body.get("type") != "filled":
            return None
        quantity, price = (int(Decimal(body[name]) * SCALE) for name in ("quantity", "price"))
        key = (says["tenant"], body["execution_id"])
        return key, Execution(says["account_id"], body["symbol"], body["side"], quantity, price)
    except (Garbage, ValueError, KeyError, ArithmeticError, AttributeError):
        return None  # Poison: whoever interprets the feed sets it aside.
