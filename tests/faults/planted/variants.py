"""Bugs that are known: each a small change of the product's source, as a tired hand would make it.

Old text -> new text, and the rig that is to notice. The old text must stand in its file exactly once; a test holds all
of them to the tree, so that no bug is planted beside a code that has moved on.
"""

from typing import Literal, TypeAlias

import msgspec

Rig: TypeAlias = Literal["simulation", "books", "installation", "power"]
"""Who is to notice: the auditor of `tests/simulation`, or the checker of a run.

`books`: evidence in memory, by the deciders, folds and frames. `installation`: a broker, a database and all hosts,
under faults. `power`: a broker whose disk is copied while it writes.
"""


class Edit(msgspec.Struct, frozen=True):
    """One place that is changed."""

    path: str
    old: str
    new: str


class Variant(msgspec.Struct, frozen=True):
    """One bug."""

    name: str
    rig: Rig
    edits: tuple[Edit, ...]


DECIDERS, SAGAS = "streams/deciders.py", "streams/sagas.py"
WRITER, READER = "infra/kafka/writer.py", "infra/kafka/reader.py"
REPORTS, FOLLOWING = "domain/orders/reports.py", "gateways/following.py"
COMMITTED = '"isolation.level": "read_committed"'


def bug(name: str, rig: Rig, path: str, old: str, new: str) -> Variant:
    """One that is a change of one place."""
    return Variant(name, rig, (Edit(path, old, new),))


ON_THE_TAPE = (
    bug(
        "no dedupe of command ids",
        "simulation",
        "domain/kernel/stream.py",
        "        if short_digest(command_id) in self.known:\n            return Familiarity.KNOWN\n",
        "",
    ),
    bug(
        "no fencing",
        "simulation",
        WRITER,
        '    return tuple(f"{topic}-{partition}-{number}" for',
        '    from uuid import uuid4\n\n    return tuple(f"{topic}-{partition}-{number}-{uuid4().hex}" for',
    ),
    bug(
        "an unclear end taken as clear",
        "simulation",
        "infra/kafka/protocol2.py",
        'raise UnclearEnd(f"{self._name()}: end: {silence}; take over") from silence',
        "return",
    ),
    bug(
        "the tape not read back after an unclear end",
        "simulation",
        DECIDERS,
        "(self.partition.context).inc()\n        await self._writer.take_over()\n",
        "(self.partition.context).inc()\n        await self._writer.take_over()\n        return\n",
    ),
    bug(
        "a retry reorders",
        "simulation",
        DECIDERS,
        "                await owner.recover()\n",
        "                await owner.recover()\n                owner.backlog.rotate(-1)\n",
    ),
    bug(
        "a position off by one",
        "simulation",
        DECIDERS,
        "return max(begin, self.partition.knowledge.command_position + 1)",
        "return max(begin, self.partition.knowledge.command_position + 2)",
    ),
    bug(
        "a snapshot ahead of its events",
        "simulation",
        DECIDERS,
        "            await owner.append(batch)\n",
        "            owner._keep(batch)\n            await owner.snapshot(is_forced=True)\n"
        "            await owner.append(batch)\n",
    ),
    bug(
        "a zombie's snapshot",
        "simulation",
        WRITER,
        "        self._ids = transactional_ids(topic, partition)\n",
        "        from uuid import uuid4\n\n"
        '        whose = f"-{uuid4().hex}" if topic.endswith(".snapshots") else ""\n'
        "        self._ids = tuple(each + whose for each in transactional_ids(topic, partition))\n",
    ),
    bug(
        "the hash chain not checked",
        "simulation",
        "infra/kafka/chain.py",
        "        if recorded.previous != link.hash:\n",
        "        if len(recorded.previous) != len(link.hash):\n",
    ),
    bug(
        "a refusal swallowed",
        "simulation",
        "streams/partition.py",
        "        partition = self._partition\n        sequence = self._link.sequence + 1\n",
        '        if type(event).__name__.endswith("Refused"):\n            return\n'
        "        partition = self._partition\n        sequence = self._link.sequence + 1\n",
    ),
    bug(
        "a saga that commits before it sends",
        "simulation",
        SAGAS,
        "            await self._react(batch)\n",
        "            if batch:\n                await self._follower.commit()\n            await self._react(batch)\n",
    ),
    bug(
        "a wrong causation id",
        "simulation",
        SAGAS,
        "causation_id=recorded.event_id",
        "causation_id=recorded.correlation_id",
    ),
)
"""What breaks order, number or origin of what stands there."""

IN_THE_BOOKS = (
    bug(
        "a halt ignored",
        "simulation",
        "domain/orders/decide.py",
        "return Refusal.HALTED if book.halts else None",
        "return None",
    ),
    bug(
        "a reservation rounded down",
        "simulation",
        "domain/kernel/money.py",
        "return Money(-(-quantity * price // _NOTIONAL_UNIT))",
        "return Money(quantity * price // _NOTIONAL_UNIT)",
    ),
    bug(
        "a fill keeps its reservation",
        "simulation",
        REPORTS,
        "        rest = msgspec.structs.replace(order, unfilled=unfilled)\n"
        "        released = Money(order.reserved - (needed(rest) if unfilled else 0))\n",
        "",
    ),
    bug(
        "a late fill thrown away",
        "simulation",
        REPORTS,
        "    unfilled, released = Quantity(0), Money(0)\n",
        "    if order is None:\n"
        "        return OrderRefused(order_id=command.order_id, reason=_absent(book, command.order_id))\n"
        "    unfilled, released = Quantity(0), Money(0)\n",
    ),
    bug(
        "a withdrawal not set aside",
        "simulation",
        "domain/orders/state.py",
        "                reserved=Money(book.reserved + event.amount),\n",
        "",
    ),
    bug(
        "a fee rounded twice",
        "books",
        "domain/billing/rates.py",
        "    exact = quantity * rates.per_share * whole + quantity",
        "    shares = share_of(quantity * rates.per_share, 1, _SHARES_UNIT)\n"
        "    exact = shares * _SHARES_UNIT * whole + quantity",
    ),
)
"""What breaks the sums."""

AT_THE_DOORS = (
    bug(
        "an answer before the commit",
        "installation",
        READER,
        COMMITTED,
        '"isolation.level": "read_uncommitted" if name == "gateway-events" else "read_committed"',
    ),
    bug("read_uncommitted", "installation", READER, COMMITTED, '"isolation.level": "read_uncommitted"'),
    Variant(
        "the group's offset trusted",
        "installation",
        (
            Edit(READER, 'f"{name}-joins-no-group",', 'name, "auto.commit.interval.ms": 20,'),
            Edit(READER, '"enable.auto.commit": False', '"enable.auto.commit": True'),
            Edit(READER, '"enable.auto.offset.store": False', '"enable.auto.offset.store": True'),
            Edit(READER, '"auto.offset.reset": "error"', '"auto.offset.reset": "earliest"'),
            Edit(DECIDERS, "owner.next_command(begins[topic][number])", "-1_000"),  # What librdkafka calls STORED.
        ),
    ),
    bug(
        "a cursor off by one",
        "installation",
        FOLLOWING,
        "                        yield Told(place, seen.recorded, seen.trace)\n",
        "                        self.positions[place] += 1\n"
        "                        yield Told(place, seen.recorded, seen.trace)\n",
    ),
    bug(
        "a gap neither told nor filled",
        "installation",
        FOLLOWING,
        "                yield Gap()\n                self.begin()\n",
        "                self.positions |= self.begin()\n",
    ),
    bug(
        "a tenant filter dropped",
        "installation",
        "projections/orders/journal.py",
        "    WHERE tenant = $1\n      AND topic",
        "    WHERE $1::text IS NOT NULL\n      AND topic",
    ),
    bug(
        "an offset row outside its transaction",
        "installation",
        "projections/projection.py",
        "                for each in changes:\n                    await each.write(session)\n",
        "            async with self._db.transaction() as session:\n"
        "                for each in changes:\n                    await each.write(session)\n",
    ),
)
"""What breaks what somebody was told or shown."""

ON_THE_DISK = (
    bug(
        "flush off",
        "power",
        "infra/kafka/topics.py",
        "str(1 if self.flush_each else FLUSH_NEVER)",
        "str(FLUSH_NEVER)",
    ),
    bug(
        "command topics unflushed",
        "power",
        "infra/catalogue.py",
        "        retention_ms=COMMAND_DAYS * DAY_MS,\n",
        "        retention_ms=COMMAND_DAYS * DAY_MS,\n        flush_each=False,\n",
    ),
)
"""What breaks only when the power goes."""

VARIANTS = (*ON_THE_TAPE, *IN_THE_BOOKS, *AT_THE_DOORS, *ON_THE_DISK)
