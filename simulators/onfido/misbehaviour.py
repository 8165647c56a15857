"""How badly the vendor behaves: probabilities from the command line, changed while it runs by its control door."""

from dataclasses import dataclass, fields, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Probabilities per request or notice, and two delays; all nothing by default."""

    duplicate: float = 0.0
    lost: float = 0.0
    wrong_signature: float = 0.0
    late: float = 0.0
    late_ms: int = 2_000
    reorder: float = 0.0
    too_many: float = 0.0
    fail: float = 0.0
    slow: float = 0.0
    slow_ms: int = 2_000

    def changed(self, told: object) -> "Misbehaviour":
        """This with the fields that were told; raises ValueError naming the wrong one."""
        if not isinstance(told, dict):
            raise TypeError("send an object")
        known = {field.name for field in fields(self)}
        for name, value in told.items():
            if name not in known:
                raise ValueError(f"{name} is none of {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number")
            if name.endswith("_ms") and (value < 0 or not isinstance(value, int)):
                raise ValueError(f"{name} must be a whole number from 0 on")
            if not name.endswith("_ms") and not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1")
        return replace(self, **told)


class Dice:
    """The misbehaviour that holds now, and the chance behind it."""

    def __init__(self, bad: Misbehaviour, seed: int) -> None:
        self.bad = bad
        self._random = Random(seed)

    def happens(self, name: str) -> bool:
        """Whether it happens this time."""
        probability = float(getattr(self.bad, name))
        return probability > 0 and self._random.random() < probability

    def coin(self) -> bool:
        """One of two."""
        return self._random.random() < 0.5  # noqa: PLR2004  a coin
