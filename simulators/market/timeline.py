"""Sessions -> moments: everything the market will say, each with the market time at which it says it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from simulators.market import quotes, sessions
from simulators.market.days import Session
from simulators.market.quotes import Quote
from simulators.market.sessions import Phase


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the play stands."""

    time: datetime
    phase: Phase
    day: int
    days: int

    def message(self) -> dict[str, object]:
        """The clock as it travels."""
        return {
            "type": "clock",
            "time": self.time.isoformat(timespec="microseconds"),
            "phase": self.phase.value,
            "date": self.time.date().isoformat(),
            "day": self.day,
            "days": self.days,
        }


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of the play: the clock, whether the phase changed with it, and the quotes of that step."""

    clock: Clock
    is_new_phase: bool
    quotes: tuple[Quote, ...] = ()


def moments(played: Sequence[Session], *, seed: int, steps: int, lap: int = 1) -> Iterator[Moment]:
    """Day after day: the morning, the bell, the quotes, the bell, the evening."""
    for number, session in enumerate(played, start=1):

        def clock(at: datetime, number: int = number) -> Clock:
            return Clock(at, sessions.phase(at), number, len(played))

        yield Moment(clock(sessions.pre_open_at(session.date)), is_new_phase=True)
        streams = [quotes.of_day(day, seed=seed, steps=steps, lap=lap) for day in session.days]
        for place, step in enumerate(zip(*streams, strict=True)):
            yield Moment(clock(step[0].time), is_new_phase=place == 0, quotes=step)
        yield Moment(clock(sessions.close_at(session.date)), is_new_phase=True)
        yield Moment(clock(sessions.ends_at(session.date)), is_new_phase=False)
