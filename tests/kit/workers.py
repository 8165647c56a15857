"""How two workers share a run of the tests: whole files, and all that needs a whole stack in one of them.

A stack takes a worker a quarter of a minute to bring up and most of a machine to run; two at once would take all of it.
"""

from xdist.scheduler import LoadScopeScheduling

STACK = "tests/stack/"


def is_of_the_stack(nodeid: str) -> bool:
    """The test needs the whole stack."""
    return nodeid.startswith(STACK)


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist brings no types.
    """Gives whole files to workers, the folder of the stack as one; in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return STACK if is_of_the_stack(nodeid) else nodeid.partition("::")[0]
