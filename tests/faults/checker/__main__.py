"""`python -m tests.faults.checker FOLDER`: judge a folder of evidence, print one JSON document.

Exit codes: 0 nothing was found, 1 something was, 2 the evidence cannot be read.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from tests.faults.checker.evidence import Unreadable
from tests.faults.checker.judge import judge

CLEAN, FOUND, UNREADABLE = 0, 1, 2


def main() -> int:
    """Read the arguments, judge, print the verdict."""
    parser = argparse.ArgumentParser(prog="tests.faults.checker", description="Judge the evidence of a run.")
    parser.add_argument("folder", type=Path, help="the folder of evidence; see tests/faults/checker/evidence.py")
    arguments = parser.parse_args()
    try:
        verdict = judge(arguments.folder)
    except Unreadable as unreadable:
        sys.stderr.write(f"{unreadable}\n")
        return UNREADABLE
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(verdict), indent=2) + b"\n")
    return CLEAN if verdict.is_clean else FOUND


if __name__ == "__main__":
    sys.exit(main())
