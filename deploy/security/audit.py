"""Locks -> known vulnerabilities of what they name, by pip-audit; or that nobody could be asked.

pip-audit says `no known vulnerabilities` after it has skipped every library, so its word alone is worth nothing. A
library whose weakness everybody knows is asked about first: who does not name it cannot be asked about the others.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from deploy.security import environment
from deploy.security.scan import ROOT, Broken, Result, said

LOCKS = ("requirements.lock", "deploy/security/requirements.lock")
KNOWN_WEAK = "pyyaml==5.1"
"""CVE-2020-1747: every database of advisories has it."""
SERVICE_URL = "TAPELINE_OSV_URL"
"""Environment variable: another address of the advisories than OSV's own, for machines with a mirror."""
WAIT_SECONDS_MAX = 15
"""Longest wait for one answer of the service."""
FOUND = 1
"""pip-audit's exit code for vulnerabilities, and for some failures: only what it prints tells them apart."""


def audit() -> Result:
    """Every library of both locks, each asked about."""
    with tempfile.TemporaryDirectory() as scratch:
        weak = Path(scratch) / "weak.txt"
        weak.write_text(f"{KNOWN_WEAK}\n")
        unheard = _unheard(weak, is_hashed=False)
        if unheard:
            return Result(looked_at="nothing", not_run=f"not audited: {unheard}")
    found: list[str] = []
    asked = 0
    for lock in LOCKS:
        dependencies = _asked(ROOT / lock, is_hashed=True)
        skipped = [each["name"] for each in dependencies if "skip_reason" in each]
        if skipped or not dependencies:
            reason = f"of {len(dependencies)} libraries of {lock} nothing was heard of {', '.join(skipped) or 'all'}"
            return Result(looked_at=f"{asked} libraries", findings=tuple(found), not_run=f"not audited: {reason}")
        asked += len(dependencies)
        found += [f"{lock}: {each['name']} {each['version']}: {_named(each)}" for each in dependencies if each["vulns"]]
    return Result(looked_at=f"{asked} libraries", findings=tuple(found))


def _unheard(weak: Path, *, is_hashed: bool) -> str:
    """Why the service cannot be believed; empty when it names what everybody knows."""
    try:
        dependencies = _asked(weak, is_hashed=is_hashed)
    except Broken as broken:
        return f"the service of advisories does not answer ({str(broken).splitlines()[-1][:120]})"
    if not any(each.get("vulns") for each in dependencies):
        return f"the service of advisories does not know {KNOWN_WEAK}, whose weakness everybody knows"
    return ""


def _asked(lock: Path, *, is_hashed: bool) -> list[dict[str, Any]]:
    """What pip-audit says of each library. Raises Broken when it says nothing."""
    argv: list[Path | str] = [environment.program("pip-audit"), "--requirement", lock, "--format", "json"]
    argv += ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", str(WAIT_SECONDS_MAX)]
    argv += ["--vulnerability-service", "osv", *(["--require-hashes"] if is_hashed else [])]
    if SERVICE_URL in os.environ:
        argv += ["--osv-url", os.environ[SERVICE_URL]]
    with tempfile.TemporaryDirectory() as cache:
        told = said([*argv, "--cache-dir", cache], good=(0, FOUND))
    try:
        dependencies: list[dict[str, Any]] = json.loads(told)["dependencies"]
    except (ValueError, KeyError) as error:
        raise Broken(f"pip-audit gave no list: {told[-200:]!r}") from error
    return dependencies


def _named(dependency: dict[str, Any]) -> str:
    return ", ".join(
        f"{each['id']} (mended in {each['fix_versions'] or 'nothing yet'})" for each in dependency["vulns"]
    )
