"""Every check is run once and decided once, whatever the vendor, its notices or a power cut do to it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from infra.avro.codec import Codec
from tests.kit.onfido import ask, vendor
from tests.streams.onboarding.desk import Desk, names, working

pytestmark = pytest.mark.kafka

DECIDING = {"KycCheckPassed", "KycCheckFailed"}
OUTCOMES = {"Abel": "KycCheckPassed", "Declined": "KycCheckFailed", "Consider": "KycCheckReferred"}


@pytest.fixture
def desk(kafka: LocalKafka, codec: Codec, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(kafka.bootstrap, codec, state_dir)
    for module, name, value in names(made.context):
        monkeypatch.setattr(module, name, value)
    return made


def decisions(events: list[Any]) -> Counter[str]:
    return Counter(each.stream_id for each in events if type(each.event).__name__ in DECIDING)


async def test_every_outcome_reaches_the_file_of_its_account_and_nothing_of_the_person(
    desk: Desk, tmp_path: Path
) -> None:
    async with desk.door() as url, vendor(tmp_path, url, "--duplicate", 1.0) as started, desk.installation.running():
        async with working(desk, started.port):
            for last_name in OUTCOMES:
                await desk.request(last_name.lower(), f"Planted {last_name}")
            await desk.until_decided({name.lower(): outcome for name, outcome in OUTCOMES.items()})
            # A person at the vendor looks, and a notice that was seen before comes once more.
            (referred,) = [each for each in await desk.events("consider") if hasattr(each.event, "run_id")]
            run = referred.event.run_id
            await ask(started, "POST", f"/_simulator/runs/{run}", {"status": "approved"})
            await desk.until_decided({"consider": "KycCheckPassed"})
            await ask(started, "POST", f"/_simulator/runs/{run}/notify")
        events = await desk.events()
        assert decisions(events) == {"abel": 1, "declined": 1, "consider": 1}
        _, state, _ = await ask(started, "GET", "/_simulator/state")
        assert (state["runs"], state["applicants"]) == (3, 3)
    assert b"Planted" not in b"".join(value for value, _ in await desk.installation.everything())


async def test_what_a_lost_notice_was_about_is_found_by_the_slow_poll(desk: Desk, tmp_path: Path) -> None:
    async with (
        desk.door() as url,
        vendor(tmp_path, url, "--lost", 1.0) as started,
        desk.installation.running(),
        working(desk, started.port),
    ):
        await desk.request("ann", "Abel")
        await desk.until_decided({"ann": "KycCheckPassed"})
        assert decisions(await desk.events()) == {"ann": 1}


async def test_a_person_who_is_erased_before_the_check_is_never_told_to_the_vendor(desk: Desk, tmp_path: Path) -> None:
    async with desk.door() as url, vendor(tmp_path, url) as started, desk.installation.running():
        await desk.request("ann", "Abel")
        await desk.until_decided({"ann": "KycCheckRequested"})
        await desk.keys.erase("acme", "ann")
        async with working(desk, started.port):
            await desk.until_decided({"ann": "KycCheckFailed"})
        _, state, _ = await ask(started, "GET", "/_simulator/state")
        assert (state["applicants"], state["runs"]) == (0, 0)
    (failed,) = [each.event for each in await desk.events("ann") if type(each.event).__name__ == "KycCheckFailed"]
    assert failed.cause == "ERASED"


async def test_kill_9_of_the_effects_loses_no_answer_and_counts_none_twice(desk: Desk, tmp_path: Path) -> None:
    unruly = ("--duplicate", 0.4, "--lost", 0.3, "--wrong-signature", 0.2, "--too-many", 0.1, "--fail", 0.1)
    wanted = {}
    async with desk.door() as url, vendor(tmp_path, url, *unruly) as started, desk.installation.running():
        for turn in range(4):
            for number, (last_name, outcome) in enumerate(OUTCOMES.items()):
                account = f"a-{turn}-{number}"
                wanted[account] = outcome
                await desk.request(account, last_name)
            async with desk.process(started.port, tmp_path / "effects.log"):
                # Killed as soon as the first of this turn has its answer: the others are on their way.
                first = f"a-{turn}-0"
                await desk.until_decided({first: wanted[first]})
        async with desk.process(started.port, tmp_path / "effects.log"):
            await desk.until_decided(wanted)
        _, state, _ = await ask(started, "GET", "/_simulator/state")
        assert state["runs"] == len(wanted)
    counted = Counter((each.stream_id, type(each.event).__name__) for each in await desk.events())
    assert {each: count for each, count in counted.items() if each[1] != "KycRefused" and count != 1} == {}
    assert set(wanted.items()) <= set(counted)
