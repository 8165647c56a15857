"""The rules of Prometheus: its own tool accepts and tests them, and they speak of metrics that there are."""

import re
import subprocess

import pytest
from prometheus_client import REGISTRY

import infra.telemetry
from deploy.local.prometheus import RULES
from tests.kit import machine

assert infra.telemetry  # Its metrics are in the registry.
TESTS = RULES.with_name("rules_test.yml")
TEXT = RULES.read_text()
ALERTS = re.findall(r"- alert: (\w+)", TEXT)


@pytest.mark.parametrize("asked", [("check", "rules", RULES.name), ("test", "rules", TESTS.name)])
def test_promtool_takes_them(asked: tuple[str, ...]) -> None:
    promtool = machine.program("promtool", "prometheus")
    said = subprocess.run([promtool, *asked], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "SUCCESS" in said.stdout


def test_every_metric_of_ours_is_watched_and_none_is_made_up() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("tapeline_")}
    spoken = {re.sub("_(total|bucket|count|sum)$", "", name) for name in re.findall(r"\btapeline_[a-z_]+", TEXT)}
    assert spoken == ours, "give a new metric an alert in deploy/prometheus/rules.yml, with its first step"


def test_every_alert_begins_a_runbook_and_is_tested() -> None:
    blocks = TEXT.split("- alert: ")[1:]
    for block in blocks:
        name = block.split("\n", 1)[0]
        assert re.search(r'runbook: ".{40,}\."', block), f"{name}: say what to do first, in one sentence"
        assert re.search(r"severity: (page|ticket)}", block), f"{name}: say whether somebody is woken up"
    told = TESTS.read_text()
    assert [name for name in ALERTS if f'alertname="{name}"' not in told and f"alertname: {name}" not in told] == []
