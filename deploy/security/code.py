"""Python files -> what semgrep's rules of this folder, and bandit, say of them.

An exception stands beside its line as a comment, `nosemgrep: RULE` or `nosec CODE`, and behind another `#` why.
"""

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.security import environment
from deploy.security.scan import ROOT, Broken, Result, files, said

RULES = Path(__file__).with_name("rules")
SHIPPED = ("domain", "infra", "projections", "streams", "gateways", "deploy", "simulators", "demo", "examples")
"""What runs; tests start processes, make bad tokens and write files as they please."""
ALONE = ("main.py", "contexts.py")
ACCEPTED = {
    "B101": "assertions state what must hold",
    "B404": "processes are started from fixed argument lists; the rule shell-of-a-string sees the others",
    "B603": "see B404",
    "B607": "tools are found on PATH by design",
}
"""Codes of bandit that the linter leaves out for the same reasons (pyproject.toml)."""
EMPTY = "Possible hardcoded password: ''"
"""What bandit says of an option whose default is no token."""
CHANCE, PLAYED = "B311", ("./simulators/", "./demo/")
"""A market, a vendor and customers that are played from a seed keep no secrets."""
EXCEPTION = re.compile(r"#\s*(nosec|nosemgrep)\b(?P<rest>.*)")
REASONED = re.compile(r":? [\w-]+  # \w")
"""The rule, then why."""
CORES = 2


def rules() -> Result:
    """Every rule over every file of Python."""
    names = files()
    return Result(looked_at=f"{len(names)} files", findings=(*scanned(ROOT, names), *_without_reason(names)))


def lint() -> Result:
    """Bandit over what runs."""
    names = [*files(*SHIPPED), *ALONE]
    argv: list[Path | str] = [environment.program("bandit"), "--quiet", "--format", "json"]
    argv += ["--skip", ",".join(ACCEPTED)]
    told = json.loads(said([*argv, *names], good=(0, 1)))
    if told["errors"]:
        raise Broken(f"bandit could not read {told['errors'][0]}")
    lines = sum(each["loc"] for name, each in told["metrics"].items() if name != "_totals")
    findings = [
        f"{each['filename']}:{each['line_number']} {each['test_id']} {each['issue_text']}"
        for each in told["results"]
        if each["issue_text"] != EMPTY and not (each["test_id"] == CHANCE and each["filename"].startswith(PLAYED))
    ]
    return Result(looked_at=f"{len(names)} files, {lines} lines", findings=tuple(findings))


def scanned(root: Path, names: Sequence[str]) -> list[str]:
    """What semgrep says of these files: `file:line rule message`."""
    return [f"{file}:{line} {rule}: {message}" for file, line, rule, message in hits(root, names)]


def hits(root: Path, names: Sequence[str]) -> list[tuple[str, int, str, str]]:
    """Every line that a rule found: file, line, rule, message. Raises Broken when not all files were read."""
    with tempfile.TemporaryDirectory() as home:
        argv: list[Path | str] = [environment.program("semgrep"), "scan", "--config", RULES, "--json", "--quiet"]
        argv += ["--metrics", "off", "--disable-version-check", "--no-git-ignore", "--jobs", str(CORES)]
        # Its settings and its log go to a folder that ends with the scan.
        own = {"SEMGREP_SETTINGS_FILE": f"{home}/settings.yml", "SEMGREP_LOG_FILE": f"{home}/log", "HOME": home}
        told = json.loads(said([*argv, *names], cwd=root, good=(0, 1), **own))
    unread = set(names) - set(told["paths"]["scanned"])
    if unread or told["errors"]:
        raise Broken(f"semgrep did not read {sorted(unread)[:5]}; {told['errors'][:3]}")
    return sorted(
        {
            (each["path"], each["start"]["line"], each["check_id"].rsplit(".", 1)[-1], each["extra"]["message"].strip())
            for each in told["results"]
        }
    )


def _without_reason(names: Sequence[str]) -> list[str]:
    """Exceptions that name no rule, or say nothing of why."""
    return [
        f"{name}:{number} an exception without its rule and its reason"
        for name in names
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if (exception := EXCEPTION.search(line)) and not REASONED.match(exception["rest"])
    ]
