"""A decision -> the headers of its answer, or the refusal as a problem: 422 for what was asked, 409 for a state.

Each context brings its table of refusals: reason -> the field that was wrong and what to do.
"""

from collections.abc import Mapping

import msgspec

from gateways.problems import Problem
from gateways.routes import position_of
from infra.bus import Answer


class Refused(msgspec.Struct, frozen=True):
    """How one reason is told: `field` is there when the request itself was wrong."""

    detail: str
    remedy: str
    field: str | None = None
    status: int = 409


Refusals = Mapping[str, Refused]
_UNTOLD = Refused("The command was refused.", "Read the state it refers to and decide anew.")


def accepted(answer: Answer, refused: tuple[type, ...], table: Refusals) -> dict[str, str]:
    """The headers of an answer that is no refusal; raises Problem with the reason when it is one."""
    event = answer.recorded.event
    headers = position_of(answer)
    if not isinstance(event, refused):
        return headers
    reason = str(getattr(event, "reason", ""))
    told = table.get(reason, _UNTOLD)
    raise Problem(
        told.status, "refused", told.detail, field=told.field, remedy=told.remedy, reason=reason, headers=headers
    )
