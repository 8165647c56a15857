"""What all accounts of a partition share when they are charged: every price list, and when each market day began.

A fill has the date of the newest mark observed by the time it was recorded. Marks and fills stand on different topics,
so that date is known when a later mark was seen: until then there is none, and whoever reads the tape again, in
whatever order, finds the same.
"""

from bisect import bisect_right
from collections.abc import Iterable

import msgspec
from immutables import Map

from domain.billing.events import PriceList
from domain.billing.rates import rates_on
from domain.kernel.ids import Micros
from domain.kernel.messages import Observed
from domain.market_data.marks import Mark

DAYS_KEPT_MAX = 5_000
"""Market days that are remembered: twenty years; a fill that is read later than that has the date of the oldest."""


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A market date, and the wall time of its first mark."""

    began_at: Micros
    session_date: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The price lists of each tenant, oldest first, and the market's days as they followed."""

    lists: Map[str, tuple[PriceList, ...]] = Map()
    days: tuple[Day, ...] = ()

    def date_at(self, recorded_at: Micros, seen_at: Micros) -> str:
        """The market's date at this wall time; empty while a mark after the one seen may still say otherwise."""
        if seen_at <= recorded_at or not self.days:
            return ""
        place = bisect_right(self.days, recorded_at, key=lambda day: day.began_at)
        return self.days[max(0, place - 1)].session_date

    def lists_of(self, tenant: str) -> tuple[PriceList, ...]:
        """The tenant's lists, oldest first."""
        return self.lists.get(tenant, ())

    def newest(self, tenant: str) -> PriceList | None:
        """The list that counts, if there is one."""
        lists = self.lists_of(tenant)
        return lists[-1] if lists else None

    def differ(self, tenant: str, since: int, dates: Iterable[str]) -> bool:
        """Whether any list from this version on prices one of these dates otherwise than the newest does."""
        lists = [each for each in self.lists_of(tenant) if each.list_version >= since]
        return any(len({rates_on(each.rows, date) for each in lists}) > 1 for date in dates)


def follow(terms: Terms, message: Observed) -> Terms:
    """The terms after a copy of a price list, or a mark. What was followed before changes nothing."""
    match message:
        case PriceList():
            lists = terms.lists_of(message.tenant)
            if lists and message.list_version <= lists[-1].list_version:
                return terms
            return msgspec.structs.replace(terms, lists=terms.lists.set(message.tenant, (*lists, message)))
        case Mark():
            last = terms.days[-1] if terms.days else Day(began_at=Micros(-1), session_date="")
            if message.observed_at <= last.began_at or message.session_date == last.session_date:
                return terms
            day = Day(began_at=message.observed_at, session_date=message.session_date)
            return msgspec.structs.replace(terms, days=(*terms.days, day)[-DAYS_KEPT_MAX:])
        case _:
            return terms
