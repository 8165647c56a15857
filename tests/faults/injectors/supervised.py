"""What faults that end a supervised process share: the supervisor is left one restart to spare."""

import time

from deploy.local.supervisor import RESTART_WINDOW_S, RESTARTS_MAX
from tests.faults.fault import Missed
from tests.kit.whole_stack import WholeStack


def spare_restart(stack: WholeStack, name: str, *, of: int = 1) -> None:
    """Raises Missed when so many more deaths might make the supervisor give up on it."""
    since = time.monotonic() - RESTART_WINDOW_S
    recent = [at for at in stack._kept(name)._restarts if at > since]
    if len(recent) + of >= RESTARTS_MAX:
        raise Missed(f"{name} was started {len(recent)} times within {RESTART_WINDOW_S:.0f} s: one more is kept back")
