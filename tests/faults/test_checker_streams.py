"""The checker holds what streams received against the tape: each event once and in order, or a gap that was told."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateways import cursor
from infra.avro.codec import Codec
from tests.faults.checker.evidence import Entry, Heard
from tests.faults.checker.judge import judge
from tests.faults.checker.verdict import Verdict
from tests.faults.worlds import STRANGER, World
from tests.kit.histories import ACCOUNTS

replace = msgspec.structs.replace
TOKEN = b"12345678"


def judged(world: World, tmp_path: Path) -> Verdict:
    return judge(world.write(tmp_path / "run"))


def said(verdict: Verdict) -> list[str]:
    return [f"{each.what}: {each.says}" for each in verdict.findings]


def event_at(world: World, wanted: int = 20) -> int:
    """Where in the log the so-and-so-manieth event frame is; its key has further events."""
    return [at for at, heard in enumerate(world.frames) if heard.what == "frame"][wanted]


def left_out(world: World) -> None:
    del world.frames[event_at(world)]


def left_out_at_the_end(world: World) -> None:
    del world.frames[-2]


def told_twice(world: World) -> None:
    at = event_at(world)
    world.frames.insert(at + 1, world.frames[at])


def told_in_another_order(world: World) -> None:
    frames = [at for at, heard in enumerate(world.frames) if heard.what == "frame"]
    pair = next(
        (a, b)
        for a, b in pairwise(frames)
        if world.frames[a].frame["topic"] == world.frames[b].frame["topic"]
        and world.frames[a].frame["partition"] == world.frames[b].frame["partition"]
        and world.frames[a].frame["key"] != world.frames[b].frame["key"]
    )
    world.frames[pair[0]], world.frames[pair[1]] = world.frames[pair[1]], world.frames[pair[0]]


def told_another_amount(world: World) -> None:
    frame = next(h.frame for h in world.frames if h.frame.get("event", {}).get("event_type") == "OrderFilled")
    frame["event"]["amount"] = "0.01"


def told_what_was_never_written(world: World) -> None:
    world.frames[event_at(world)].frame["event"]["command_id"] = "unheard"


def told_under_another_number(world: World) -> None:
    world.frames[event_at(world)].frame["number"] += 1


def told_of_another_tenant(world: World) -> None:
    place, index, recorded = next(
        each for each in world.events("AccountOpened", "accounts.events") if each[2].tenant == "other"
    )
    frame = {
        "type": "event",
        "cursor": "",
        "key": f"accounts/{STRANGER}",
        "number": 1,
        "topic": place[0],
        "partition": place[1],
        "sequence": index,
        "event": {
            "event_id": recorded.event_id,
            "event_type": "AccountOpened",
            "account_id": STRANGER,
            "version": 1,
            "command_id": recorded.command_id,
        },
    }
    world.frames.append(Heard(what="frame", mono_ns=0, client="p", connection=2, frame=frame))


def shown_an_id_of_another_tenant(world: World) -> None:
    world.frames[event_at(world)].frame["event"]["note"] = STRANGER


def answered_an_id_of_another_tenant(world: World) -> None:
    body = msgspec.Raw(msgspec.json.encode({"accounts": [{"account_id": STRANGER}]}))
    world.history.append(
        Entry(
            kind="ok",
            mono_ns=10**15,
            op=9_999,
            client="reader",
            tenant="acme",
            account="*",
            asked="GET /v1/accounts",
            status=200,
            body=body,
        )
    )


LIES: dict[Callable[[World], None], str] = {
    left_out: "gap-untold: streams/p: number",
    left_out_at_the_end: "gap-untold: streams/p: it ended before number",
    told_twice: "duplicated: streams/p: number",
    told_in_another_order: "reordered: streams/p: it comes after sequence",
    told_another_amount: "projection: amount was told as '0.01'",
    told_what_was_never_written: "never-written: streams/p was shown an event",
    told_under_another_number: "never-written: streams/p was shown an event",
    told_of_another_tenant: "tenant: streams/p of acme was told an event of other",
    shown_an_id_of_another_tenant: f"tenant: a frame of streams/p shows {STRANGER} of other to acme",
    answered_an_id_of_another_tenant: f"tenant: the answer to GET /v1/accounts of reader shows {STRANGER}",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_to_a_subscriber_is_named(lie: Callable[[World], None], codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    lie(world)
    found = said(judged(world, tmp_path))
    assert any(each.startswith(LIES[lie]) for each in found), found


def test_a_gap_that_is_told_is_no_fault(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    at = event_at(world)
    world.frames[at] = replace(world.frames[at], frame={"type": "gap", "cursor": world.frames[at].frame["cursor"]})
    assert judged(world, tmp_path).is_clean


def test_a_stream_that_is_cut_off_misses_nothing_yet(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    world.frames = [*world.frames[:-40], replace(world.frames[-1], is_complete=False)]
    assert judged(world, tmp_path).is_clean


def socket(world: World, account: str, behind: int) -> list[Heard]:
    """A websocket that comes when its account has so many events of orders, and hears the rest."""
    mine = [h.frame for h in world.frames if h.frame.get("key") == f"orders/{account}"]
    place = (mine[0]["topic"], mine[0]["partition"])
    snapshot: dict[str, Any] = {
        "type": "snapshot",
        "cursor": cursor.encode({place: mine[behind - 1]["sequence"]}, TOKEN),
        "account_id": account,
        "orders": [],
        "positions": [],
    }
    opened = Heard(what="opened", mono_ns=0, client="ws", connection=1, tenant="acme", scope=[account])
    opened.topics = ["orders.events"]
    frames = [snapshot, *mine[behind:]]
    heard = [Heard(what="frame", mono_ns=0, client="ws", connection=1, frame=frame) for frame in frames]
    return [opened, *heard, Heard(what="closed", mono_ns=0, client="ws", connection=1, is_complete=True)]


def test_a_websocket_goes_on_where_its_snapshot_ends(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    log = socket(world, ACCOUNTS[0], 5)
    whole = list(world.frames)
    world.frames = whole + log
    assert judged(world, tmp_path).is_clean
    world.frames = whole + log[:2] + log[3:]
    assert any(
        each.startswith("gap-untold: streams/ws: number 7 comes where 6") for each in said(judged(world, tmp_path))
    )


def test_what_has_no_evidence_is_said_not_to_be_judged(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    folder = world.write(tmp_path / "run")
    for name in ("histories/clients.ndjson", "frames/streams.ndjson", "audit/vkey", "read_models.ndjson"):
        (folder / name).unlink()
    told = " ".join(judge(folder).not_judged)
    for name in ("lost", "gap-untold", "merkle", "projection", "torn batches"):
        assert name in told
