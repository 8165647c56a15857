"""`python -m tests.security.api --examples N --seed S`: the published contract, asked in every way it allows and more.

Schemathesis makes requests of /openapi.json, those that keep to it and those that do not, and sends them to the
gateway's own process before a real broker and database. No answer may be one of a server that has failed, and every
answer keeps what the contract promises of it.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import contexts
from deploy.security import environment
from deploy.security.scan import said
from infra.avro.codec import Codec
from infra.tokens import Scope
from tests.security.door import WHOLE_TENANT, Door, opened

CHECKS = ("not_a_server_error", "response_schema_conformance")
PHASES = ("coverage", "fuzzing")
"""Every boundary that the contract names, then chance."""
ANSWER_SECONDS_MAX = 30
FOUND = 1
ACCOUNT = "asked-for"


class Asked:
    """What a run came to."""

    def __init__(self, report: Path, told: str) -> None:
        # nosemgrep: xml-with-entities  # the report of a tool of ours
        suites = ET.parse(report).getroot()
        self.routes: Counter[str] = Counter(str(case.get("name")) for case in suites.iter("testcase"))
        self.failures = [
            f"{case.get('name')}: {' '.join((each.get('message') or each.text or '').split())[:600]}"
            for case in suites.iter("testcase")
            for each in [*case.iter("failure"), *case.iter("error")]
        ]
        self.told = told


def ask(door: Door, *, token: str, account_id: str, examples: int, seed: int) -> Asked:
    """Ask each route at its boundaries, and so often by chance; in paths stands this account, where one is given."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config, report = folder / "schemathesis.toml", folder / "report.xml"
        config.write_text(f'[parameters]\n"path.account_id" = "{account_id}"\n' if account_id else "")
        argv: list[Any] = [
            environment.program("schemathesis"),
            "--config-file",
            config,
            "run",
            f"{door.url}/openapi.json",
        ]
        argv += ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)]
        argv += ["--phases", ",".join(PHASES), "--max-examples", examples, "--seed", seed, "--continue-on-failure"]
        argv += ["--request-timeout", ANSWER_SECONDS_MAX, "--report", "junit", "--report-junit-path", report]
        argv += ["--generation-database", "none", "--no-shrink", "--warnings", "off", "--suppress-health-check", "all"]
        told = said([*map(str, argv), "--no-color"], good=(0, FOUND), cwd=folder)
        return Asked(report, told)


def askers(door: Door) -> list[tuple[str, str]]:
    """Whoever may do everything: for one account, and for all of a tenant."""
    owner = door.token(ACCOUNT, tuple(Scope))
    return [(owner, ACCOUNT), (door.token(WHOLE_TENANT, tuple(Scope)), "")]


def main() -> int:
    """Ask as each of them."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--examples", type=int, default=300)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="api-") as folder, opened(Path(folder), _codec()) as door:
        for token, account_id in askers(door):
            found = ask(door, token=token, account_id=account_id, examples=given.examples, seed=given.seed)
            failures += found.failures
            print(found.told)
    for failure in failures:
        print(failure)
    print(f"api: {len(failures)} failures")
    return 1 if failures else 0


def _codec() -> Codec:
    return Codec(contexts.messages())


if __name__ == "__main__":
    sys.exit(main())
