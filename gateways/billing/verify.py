"""The tape, from its beginning -> an account's invoices computed again: what `tapeline billing verify` does.

Neither Postgres nor the gateway is asked: fills, price lists and marks are read from Kafka, and every line is held
against them.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, get_args

import msgspec

from domain.billing import recompute, terms
from domain.billing.events import BillingEvent, InvoiceIssued
from domain.billing.recompute import Account
from domain.billing.terms import Terms
from domain.kernel.messages import OwnershipTaken, Recorded
from domain.market_data import marks
from domain.market_data.marks import Board, Mark
from domain.orders.events import OrderEvent
from gateways.billing.rest import prices_of
from gateways.journal import partitions_of
from infra.avro.codec import Codec
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived
from infra.settings import POLL_WAIT_MS

TAKE_MAX = 2_000
"""Records taken at once."""
ORDERS, BILLING, MARKS = "orders.events", "billing.events", "market_data.marks"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the tape says: invoices and fills that were looked at, fills that wait for a charge, and every doubt."""

    invoices: int
    fills: int
    waiting: tuple[str, ...]
    doubts: tuple[str, ...]


async def verify(kafka: str, tenant: str, account_id: str) -> Verdict:
    """Read the account's part of the tape and compute its invoices again. Raises ReadFailed."""
    codec = Codec((OwnershipTaken, Mark, *get_args(OrderEvent), *get_args(BillingEvent)))
    orders = await _events(kafka, codec, ORDERS, tenant, account_id)
    billing = await _events(kafka, codec, BILLING, tenant, account_id)
    published = await _events(kafka, codec, BILLING, tenant, prices_of(tenant))
    days, board = Terms(), Board()
    async with aclosing(_records(kafka, MARKS, account_id)) as records:
        async for arrived in records:
            mark = codec.decode_observed(arrived.value, Mark)
            days, board = terms.follow(days, mark), marks.follow(board, mark)
    account = Account(
        orders=tuple(orders),
        billing=tuple(billing),
        lists=recompute.lists_of(published),
        terms=days,
        board=board,
    )
    return Verdict(
        invoices=sum(isinstance(each.event, InvoiceIssued) for each in billing),
        fills=sum(len(each.event.lines) for each in billing if isinstance(each.event, InvoiceIssued)),
        waiting=tuple(recompute.waiting(account)),
        doubts=tuple(recompute.doubts(account)),
    )


async def _events(kafka: str, codec: Codec, topic: str, tenant: str, stream_id: str) -> list[Recorded[Any]]:
    found: list[Recorded[Any]] = []
    async with aclosing(_records(kafka, topic, stream_id)) as records:
        async for arrived in records:
            if arrived.key == stream_id.encode():
                recorded = codec.decode_event(arrived.value)
                if recorded.tenant == tenant:
                    found.append(recorded)
    return found


async def _records(kafka: str, topic: str, stream_id: str) -> AsyncGenerator[Arrived, None]:
    """Every record of the partition in which this stream stands, up to its end as it was at the start."""
    (place,) = partitions_of(stream_id, (topic,))
    reader = Reader(kafka, f"billing-verify-{topic}")
    try:
        end = (await reader.ends(topic))[place[1]]
        await reader.assign({place: BEGINNING})
        while reader.position().get(place, 0) < end:
            for arrived in await reader.take(TAKE_MAX, POLL_WAIT_MS):
                yield arrived
    finally:
        await reader.close()
