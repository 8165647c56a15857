"""An input and what came back -> what is wrong with it, in words; nothing when all is right."""

from tests.security.kinds import CLOSED, SILENT, Input
from tests.security.wire import Outcome

HIDDEN_ANSWERED = "405"
"""Nobody asks for that in the open: a request that hides in a body does."""
UNIMPLEMENTED = {"501", "505"}
PATIENCE_S = 10.0
"""How long the door itself waits for a subscription; after that it may say so, or find that no pong came."""


def wrong(thing: Input, outcome: Outcome) -> str:
    """Why the outcome is not one of a sound door."""
    if outcome.planted:
        return "a client wrote a header of the answer"
    if thing.is_socket:
        return _wrong_socket(thing, outcome)
    failed = [each for each in outcome.answers if each >= "500" and each not in UNIMPLEMENTED]
    if failed:
        return f"answered with {failed[0]}"
    if outcome.end == SILENT:
        return f"not let go after {outcome.seconds:.0f} s, answered {_said(outcome.answers)}"
    if outcome.is_torn:
        return f"what came back is no answer, after {_said(outcome.answers)}"
    if thing.answers:
        return "" if outcome.answers == thing.answers else f"answered {_said(outcome.answers)}"
    if HIDDEN_ANSWERED in outcome.answers[1:]:
        return f"a request inside a body was answered: {_said(outcome.answers)}"
    if not outcome.answers:
        return "" if CLOSED in thing.wants or thing.is_ended else "closed without an answer"
    return "" if outcome.answers[0] in thing.wants else f"answered {_said(outcome.answers)}"


def _wrong_socket(thing: Input, outcome: Outcome) -> str:
    if outcome.answers:
        return f"the websocket was refused: {_said(outcome.answers)}"
    if outcome.is_torn:
        return f"what came back are no frames; it ended {outcome.end}"
    if outcome.end == SILENT:
        return f"not let go after {outcome.seconds:.0f} s"
    if outcome.seconds > PATIENCE_S and outcome.end in {"1008", CLOSED}:
        return ""  # The machine stood still for so long that the door's own limit came first.
    if outcome.end not in thing.wants:
        return f"ended {outcome.end}, not {' or '.join(sorted(thing.wants))}"
    if thing.pings and outcome.pongs != thing.pings:
        return f"{len(thing.pings)} pings had {len(outcome.pongs)} pongs, or others"
    return ""


def _said(answers: tuple[str, ...]) -> str:
    return ", ".join(answers) or "nothing"
