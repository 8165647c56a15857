"""What is measured and how it is judged: arms in turn, round after round, medians, ratios, and what was to be reached.

An arm is one way to do the work: ours is the first, the others are its peers. All arms of a figure run in the same
minute, A/B/A/B, so that the machine's moods meet all of them alike; the load of the machine stands beside the result.
"""

import datetime as dt
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.stage import Sizes, Stage

FOLDER = Path("build") / "bench"

Measured = dict[str, float]
"""What one run of an arm found, by name; the unit is the end of the name."""
Arm = Callable[[], Measured]


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a median must reach: ours alone, or in proportion to a peer's."""

    what: str
    of: str
    at_least: float | None = None
    at_most: float | None = None
    peer: str = ""

    def judge(self, medians: dict[str, Measured], ours: str) -> tuple[float, bool]:
        """The value, and whether it is reached."""
        value = medians[ours][self.of]
        if self.peer:
            other = medians[self.peer][self.of]
            # A proportion is always how many times better we are, for a latency as for a rate.
            value = (other / value if self.of.endswith("_ms") else value / other) if value and other else 0.0
        low = self.at_least is None or value >= self.at_least
        return value, low and (self.at_most is None or value <= self.at_most)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: `arms` opens everything its arms need, and gives them in order, ours first."""

    name: str
    title: str
    conditions: str
    arms: Callable[[Stage], AbstractContextManager[dict[str, Arm]]]
    reaches: tuple[Reach, ...]


def run(figure: Figure, sizes: Sizes, say: Callable[[str], None]) -> dict[str, Any]:
    """Every round of one figure; writes its JSON and gives it."""
    rounds: list[dict[str, Measured]] = []
    load_before, began = os.getloadavg(), dt.datetime.now(dt.UTC)
    with Stage(sizes) as stage, figure.arms(stage) as arms:
        for number in range(sizes.rounds):
            found: dict[str, Measured] = {}
            for name, arm in arms.items():
                found[name] = arm()
                say(f"{figure.name} {number + 1}/{sizes.rounds} {name}: {_shown(found[name])}")
            rounds.append(found)
    medians = {name: _medians([each[name] for each in rounds]) for name in rounds[0]}
    ours = next(iter(medians))
    document = {
        "figure": figure.name,
        "title": figure.title,
        "conditions": figure.conditions,
        "began_at": began.isoformat(),
        "sizes": msgspec.to_builtins(sizes),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "rounds": rounds,
        "medians": medians,
        "ratios": {
            name: {key: _ratio(medians[ours], peer, key) for key in peer if key in medians[ours]}
            for name, peer in medians.items()
            if name != ours
        },
        "reached": [
            {"what": each.what, "value": round(value, 3), "is_reached": is_reached}
            for each in figure.reaches
            for value, is_reached in [each.judge(medians, ours)]
        ],
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{figure.name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return document


def table(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The results for people, a line for each thing that was to be reached."""
    for document in documents:
        load = document["load_average"]
        yield f"{document['title']} ({document['conditions']}; load {load['before'][0]:.1f} to {load['after'][0]:.1f})"
        for name, medians in document["medians"].items():
            yield f"    {name:34} {_shown(medians)}"
        for each in document["reached"]:
            yield f"    {'reached' if each['is_reached'] else 'MISSED '}  {each['what']}: {each['value']:,}"


def _medians(rounds: Sequence[Measured]) -> Measured:
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def _ratio(ours: Measured, peer: Measured, key: str) -> float | None:
    return round(ours[key] / peer[key], 4) if peer[key] else None


def _shown(measured: Measured) -> str:
    return "  ".join(f"{key} {value:,.2f}" if value < 100 else f"{key} {value:,.0f}" for key, value in measured.items())
