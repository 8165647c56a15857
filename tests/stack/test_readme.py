"""The snippets of the README, run as they stand there, against the whole stack."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[2]
SNIPPET = re.compile(r"<!-- test: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)
SNIPPETS = dict(SNIPPET.findall((ROOT / "README.md").read_text()))
SAID = {
    "trader": ('"currency":"USD"', '"status":"RECEIVED"', '"orders":['),
    "auditor": ("records are what was signed", "VERIFIED orders.events/0/0", "index: 0"),
    "analyst": ("Execution quality", "# "),
    "partner": ("REPLAYED",),
    "operator": ("orders.events 3", "contracts", "OwnershipTaken", "journal"),
}
LINKED = ("tapeline", "main.py", ".venv", "gateways", "examples")
SNIPPET_SECONDS_MAX = 120


def test_every_snippet_has_words_it_must_say() -> None:
    assert SNIPPETS.keys() == SAID.keys()


@pytest.mark.parametrize("name", sorted(SAID))
async def test_the_snippet_does_what_the_readme_says(name: str, stack: WholeStack, tmp_path: Path) -> None:
    if name == "trader" and shutil.which("curl") is None:
        pytest.skip("the snippet uses curl, which this machine does not have")
    for each in LINKED:
        (tmp_path / each).symlink_to(ROOT / each)
    env = {**os.environ, **stack.addresses.env()}
    script = f"set -euo pipefail\n{SNIPPETS[name]}"
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", script],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=SNIPPET_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    missing = [words for words in SAID[name] if words not in done.stdout]
    assert not missing, done.stdout
