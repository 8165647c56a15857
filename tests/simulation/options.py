"""What one history is made of and what happens to it, drawn from its seed: every history has faults of its own."""

from random import Random

import msgspec

from infra.settings import KNOWN_COMMANDS_MAX
from tests.simulation.network import Manners
from tests.simulation.venue import VenueManners

FORGED = 0.1
"""How many histories end with a forgery: all readers go through the tape once more, and every check is one function."""


class Options(msgspec.Struct, frozen=True):
    """Drawn anew for each seed; printed when something is wrong. Rates are per virtual second."""

    seed: int
    commands: int
    partitions: int
    accounts: int
    deciders: int
    think_ms_max: int
    snapshot_every: int
    batch_max: int
    known_max: int
    """Command ids that a stream remembers; fewer show soon what the product's number shows in a long history."""
    network: Manners
    venue: VenueManners
    kill: float
    zombie: float
    rival: float
    rebalance: float
    pause: float
    cut: float
    broker: float
    freeze: float
    skew: float
    repeat_command: float
    """Faults begin when every account is open."""
    kyc_repeat: float
    is_forged: bool
    """At the end a record is changed behind everybody's back."""


def drawn(seed: int, commands: int) -> Options:
    """The options of this seed. Half of all faults are off in any history, so that the others show what they do."""
    random = Random(f"{seed}|options")

    def rate(most: float) -> float:
        return round(random.random() * most, 4) if random.random() < 0.5 else 0.0

    manners = Manners(
        delay_us=random.choice((100, 300, 1_000)),
        jitter_us=random.choice((200, 1_000, 5_000)),
        cut_before=rate(0.01),
        cut_behind=rate(0.01),
        ghost=rate(0.01),
        repeat=rate(0.02),
        slow=rate(0.005),
        slow_ms_max=random.choice((200, 2_000, 8_000)),
        marker_us_max=random.choice((200, 4_000, 20_000)),
        is_one_broker=random.random() < 0.4,
        unsent=rate(0.005),
        unsure=rate(0.005),
    )
    venue = VenueManners(
        reject=rate(0.2),
        refuse_change=rate(0.3),
        fill_ms_max=random.choice((200, 2_000, 10_000)),
        repeat=rate(0.1),
        swap=rate(0.1),
        hang_up=rate(0.02),
    )
    return Options(
        seed=seed,
        commands=commands,
        partitions=random.choice((1, 1, 2)),
        accounts=random.choice((2, 3, 5)),
        deciders=random.choice((1, 1, 2)),
        think_ms_max=random.choice((20, 100, 300)),
        snapshot_every=random.choice((10, 50, 200, 100_000)),
        batch_max=random.choice((3, 20, 1_000)),
        known_max=KNOWN_COMMANDS_MAX,
        network=manners,
        venue=venue,
        kill=rate(1.0),
        zombie=rate(0.4),
        rival=rate(0.3),
        rebalance=rate(0.2),
        pause=rate(0.8),
        cut=rate(0.8),
        broker=rate(0.1),
        freeze=rate(0.1),
        skew=rate(0.3),
        repeat_command=rate(0.1),
        kyc_repeat=rate(0.3),
        is_forged=random.random() < FORGED,
    )
