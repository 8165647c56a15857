"""Every file of the project -> secrets that should not stand in it, by detect-secrets.

What it takes for one and is none stands in known.toml with its reason, named by its hash: it may move in its file, but
no other may take its place, and one that has gone is a finding as well.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from deploy.security import environment
from deploy.security.scan import Broken, Result, files, said

KNOWN = Path(__file__).with_name("known.toml")
MADE_BY_TOOLS = (".lock", ".lock.toml", "package-lock.json", ".ndjson", ".sha256", KNOWN.name)
"""Files that are hashes from end to end, each checked by whoever wrote it."""
BINARY = (".bin", ".png", ".parquet")
NOISE = ("KeywordDetector",)
"""Takes every constant with `token` or `key` in its name for a secret; the rule secret-in-the-code looks at values."""


def secrets() -> Result:
    """What was found and is not known, and what is known and was not found."""
    names = [name for name in files(suffix="") if not name.endswith((*MADE_BY_TOOLS, *BINARY))]
    told = tomllib.loads(KNOWN.read_text())["known"]
    known = {(each["file"], digest) for each in told for digest in each["sha1"]}
    found = found_in(names)
    new = [
        f"{name}:{each['line_number']} {each['type']} {digest}"
        for (name, digest), each in found.items()
        if (name, digest) not in known
    ]
    gone = [
        f"{name}: {digest} is in {KNOWN.name} and nowhere else: take it out" for name, digest in known - found.keys()
    ]
    return Result(looked_at=f"{len(names)} files, {len(known)} known", findings=tuple(sorted([*new, *gone])))


def found_in(names: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """All that looks like a secret, by file and by the hash of what was found."""
    disabled = [part for plugin in NOISE for part in ("--disable-plugin", plugin)]
    argv: list[Path | str] = [environment.program("detect-secrets"), "scan", "--no-verify", *disabled, *names]
    try:
        results = json.loads(said(argv))["results"]
    except (ValueError, KeyError) as error:
        raise Broken("detect-secrets gave no list") from error
    return {(name, each["hashed_secret"]): each for name, found in results.items() for each in found}
