"""The first command on a bare machine: quick when nothing is missing, clear when something is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local import bootstrap

ROOT = bootstrap.ROOT


def test_the_lock_has_the_installer_with_its_hashes() -> None:
    lines = bootstrap._locked("uv")
    assert lines.startswith("uv==")
    assert lines.count("--hash=sha256:") >= 2
    assert not lines.rstrip().endswith("\\")


def test_a_library_missing_from_the_lock_is_named_with_the_remedy() -> None:
    with pytest.raises(bootstrap.Failed, match=r"no-such-library.*make lock"):
        bootstrap._locked("no-such-library")


def test_a_failed_step_names_the_remedy_and_quotes_the_command() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no route to host')"]
    with pytest.raises(bootstrap.Failed, match=r"(?s)Check the network.*no route to host"):
        bootstrap._run(argv, "Check the network.")


def test_it_imports_nothing_but_the_standard_library() -> None:
    source = "import sys; sys.path.insert(0, '.'); import deploy.local.bootstrap; import deploy.local.jars"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", source], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not bootstrap.STAMP.exists(), reason="this environment was not made by `make setup`")
def test_the_second_run_ends_within_a_second() -> None:
    begun = time.monotonic()
    subprocess.run([os.path.realpath(sys.executable), Path(bootstrap.__file__)], cwd=ROOT, check=True)
    assert time.monotonic() - begun < 1


def test_the_root_script_says_what_to_do_without_an_environment(tmp_path: Path) -> None:
    script = tmp_path / "tapeline"
    script.write_text((ROOT / "tapeline").read_text())
    ran = subprocess.run(["sh", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "make setup" in ran.stderr


def test_the_first_goal_of_make_lists_every_goal_with_its_help() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for goal in ("setup", "demo", "up", "down", "check", "test"):
        assert f"make {goal} " in told
