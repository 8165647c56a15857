"""Conditions that become true by themselves, awaited instead of slept for."""

import time
from collections.abc import Callable

import psutil

LIMIT_S = 15.0


def eventually(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
