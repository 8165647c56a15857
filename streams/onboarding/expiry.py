"""onboarding.events, the clock -> onboarding.commands: end every check whose time is over.

All checks are folded from the beginning of the tape at every start: a few events for each account, and nothing to lose.
The decider goes by the time that the command carries: a clock that runs ahead ends a check early, and the tape says who
ended it.
"""

import asyncio

from domain.kernel.ids import CheckId, Micros, derived
from domain.kernel.messages import Issued, Recorded
from domain.onboarding import events as e
from domain.onboarding.commands import ExpireKycCheck
from domain.onboarding.events import OnboardingEvent
from streams.effects import Effect, Tools

NAME = "onboarding.expiry"
SOURCE = "onboarding.events"
BATCH_MAX = 1_000
"""Events folded at once."""
LOOK_EVERY_S = 60.0
"""How often due checks are looked for: they hold for days."""
ENDED_MAX = 500
"""Checks that one look ends; the next look ends the rest."""

Key = tuple[str, str, CheckId]


class Due:
    """When each check that holds or waits is over, in the account of its tenant."""

    def __init__(self) -> None:
        self._due: dict[Key, Micros] = {}

    def see(self, recorded: Recorded[OnboardingEvent]) -> None:
        """Fold one event."""
        event = recorded.event
        if isinstance(event, e.KycCheckRequested):
            self._due[recorded.tenant, recorded.stream_id, event.check_id] = event.due_at
        elif isinstance(event, e.KycCheckPassed):
            self._due[recorded.tenant, recorded.stream_id, event.check_id] = event.valid_until
        elif isinstance(event, e.KycCheckFailed | e.KycCheckExpired):
            self._due.pop((recorded.tenant, recorded.stream_id, event.check_id), None)

    def over(self, now: Micros) -> list[tuple[Key, Micros]]:
        """The checks that are over, the longest first."""
        found = [(key, due_at) for key, due_at in self._due.items() if due_at <= now]
        return sorted(found, key=lambda pair: pair[1])[:ENDED_MAX]


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Fold the tape and look at the clock."""
    follower, due = tools.follower(NAME, [SOURCE]), Due()
    await follower.start()
    is_ready.set()
    loop = asyncio.get_running_loop()
    looked_at = float("-inf")
    while not stop.is_set():
        batch = await follower.events(BATCH_MAX)
        for followed in batch:
            due.see(followed.recorded)
        if not batch and loop.time() - looked_at > LOOK_EVERY_S:
            looked_at = loop.time()
            for key, due_at in due.over(tools.clock()):
                await tools.send("onboarding", ending(key, due_at, tools.clock()))
    await follower.close()


def ending(key: Key, due_at: Micros, now: Micros) -> Issued[ExpireKycCheck]:
    """The command that ends a check; its id follows from the check and its day."""
    tenant, account_id, check_id = key
    command_id = derived("kyc expiry", check_id, due_at)
    return Issued(
        command=ExpireKycCheck(at=now, actor=f"effect:{NAME}", check_id=check_id, cause="its time is over"),
        command_id=command_id,
        tenant=tenant,
        stream_id=account_id,
        causation_id=command_id,
        correlation_id=check_id,
    )


expiry = Effect(NAME, run)
