"""A thread that ticks -> the end of a process that stood still so long that others may have its partitions.

A stopped container or a sleeping host wakes up in the middle of a batch and does not know that its session is over.
What it would put then could come after the puts of the new owner, with an older state.
"""

import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.2


class Pulse:
    """Checked by its own thread, and by whoever is about to write."""

    def __init__(self, still_seconds_max: float, die: Callable[[BaseException], None]) -> None:
        self._still_seconds_max = still_seconds_max
        self._die = die
        self._ticked = time.monotonic()
        threading.Thread(target=self._tick, name="pulse", daemon=True).start()

    def check(self) -> None:
        """End the process if it stood still for too long."""
        still = time.monotonic() - self._ticked
        if still > self._still_seconds_max:
            self._die(
                TimeoutError(f"the process stood still for {still:.1f} s: its partitions may be another's by now")
            )

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            self.check()
            self._ticked = time.monotonic()
