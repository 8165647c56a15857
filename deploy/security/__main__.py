"""`python -m deploy.security [SCAN ...] [--offline]`: scan the project, say what was found and what was not looked at.

Ends with 0 when every scan ran and found nothing, 1 when something was found, 3 when nothing was found but not all was
looked at. With `--offline` what needs the network and cannot have it counts as skipped, and 3 becomes 0.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from deploy.security.audit import audit
from deploy.security.code import lint, rules
from deploy.security.environment import NotMade
from deploy.security.keys import secrets
from deploy.security.scan import Broken, Result

SCANS: dict[str, Callable[[], Result]] = {"rules": rules, "bandit": lint, "secrets": secrets, "audit": audit}
FOUND, NOT_RUN = 1, 3


def main() -> int:
    """Run the scans that were asked for, or all."""
    asked = argparse.ArgumentParser(prog="python -m deploy.security", description=__doc__)
    asked.add_argument("scans", nargs="*", choices=[*SCANS, []], metavar="SCAN", help=", ".join(SCANS))
    asked.add_argument("--offline", action="store_true", help="what needs the network may be skipped")
    given = asked.parse_args()
    passed = failed = skipped = 0
    for name in given.scans or SCANS:
        begun = time.monotonic()
        try:
            result = SCANS[name]()
        except (Broken, NotMade, subprocess.TimeoutExpired) as failure:
            result = Result(looked_at="nothing", findings=(str(failure)[:2000],))
        seconds = time.monotonic() - begun
        for finding in result.findings:
            print(f"  {finding}")
        state = "failed" if result.findings else "NOT RUN" if result.not_run else "passed"
        print(f"  {name}: {state}, {result.not_run or result.looked_at}, {seconds:.1f} s", flush=True)
        passed, failed, skipped = (
            passed + (state == "passed"),
            failed + (state == "failed"),
            skipped + (state == "NOT RUN"),
        )
    print(f"security: {passed} passed, {failed} failed, {skipped} skipped")
    return FOUND if failed else NOT_RUN if skipped and not given.offline else 0


if __name__ == "__main__":
    sys.exit(main())
