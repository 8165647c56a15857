"""A notice of the vendor is signed and kept sealed, or refused and named; whatever it is, it decides nothing."""

import hashlib
import hmac

import msgspec
import pytest

from domain.onboarding.reports import NOTICE_CONTEXT, KycNotice
from gateways.http import BODY_BYTES_MAX
from infra.kafka.sender import SendFailed
from infra.kyc.inbox import FEED, REFUSED_KEPT_PER_MINUTE_MAX
from tests.kit.doors import WEBHOOK_SECRET, Client, Doors

DOOR = "/v1/webhooks/onfido"


def told(customer: str = "acme/ann", run_id: str = "run-1") -> bytes:
    resource = {"customer_user_id": customer, "tags": ["check:c-1"], "reasons": ["Planted"]}
    payload = {"action": "workflow_run.completed", "resource_type": "workflow_run", "resource": resource}
    return msgspec.json.encode({"payload": payload | {"object": {"id": run_id, "status": "approved"}}})


def signed(body: bytes, secret: str = WEBHOOK_SECRET.get_secret_value()) -> dict[str, str]:
    return {"X_SHA2_Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def kept(doors: Doors) -> list[KycNotice]:
    assert all(topic == FEED for topic, _, _ in doors.feeds.sent)
    return [doors.services.codec.decode_observed(value, KycNotice) for _, _, value in doors.feeds.sent]


@pytest.fixture
def vendor(trader: Client) -> Client:
    """Somebody outside, without a token of ours."""
    return trader.with_token("")


async def test_a_signed_notice_is_kept_sealed_under_its_accounts_key(vendor: Client, doors: Doors) -> None:
    body = told()
    response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
    assert response.status == 204
    (notice,) = kept(doors)
    assert (notice.tenant, notice.account_id, notice.run_id, notice.refusal) == ("acme", "ann", "run-1", "")
    assert b"Planted" not in doors.feeds.sent[0][2]
    assert await doors.vault.unseal("acme", "ann", notice.body_sealed, NOTICE_CONTEXT) == body
    assert not doors.bus.sent


async def test_a_replayed_notice_is_ignored_with_its_reason_under_the_id_of_the_first(
    vendor: Client, doors: Doors
) -> None:
    body = told()
    for _ in range(3):
        response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
        assert response.status == 204
    assert len({notice.source_id for notice in kept(doors)}) == 1
    assert [(each.refusal, each.run_id) for each in kept(doors)] == [("", "run-1"), ("REPEATED", ""), ("REPEATED", "")]


async def test_a_notice_that_could_not_be_kept_is_no_repeat_when_it_comes_again(
    vendor: Client, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = told()

    async def fail(*_: object) -> int:
        raise SendFailed("nobody is there", outcome_unknown=True)

    with monkeypatch.context() as away:
        away.setattr(doors.feeds, "send", fail)
        response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
        assert response.status == 503
    response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
    assert (response.status, [each.refusal for each in kept(doors)]) == (204, [""])


async def test_a_notice_that_names_no_account_keeps_its_run_alone(vendor: Client, doors: Doors) -> None:
    body = told(customer="")
    response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
    assert response.status == 204
    assert [(each.run_id, each.body_sealed) for each in kept(doors)] == [("run-1", b"")]


async def test_a_notice_of_an_erased_account_keeps_no_body(vendor: Client, doors: Doors) -> None:
    await doors.vault.erase("acme", "ann")
    body = told()
    response, _ = await vendor.ask("POST", DOOR, raw=body, key=None, **signed(body))
    assert response.status == 204
    assert [each.body_sealed for each in kept(doors)] == [b""]


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (told(), {}, 401, "UNSIGNED"),
        (told(), signed(told(), "another secret"), 401, "FORGED"),
        (told(), signed(told(run_id="run-2")), 401, "FORGED"),
        (told(), {"X_SHA2_Signature": "ü"}, 401, "FORGED"),
        (b"{", signed(b"{"), 400, "UNREADABLE"),
        (b"\xff", signed(b"\xff"), 400, "UNREADABLE"),
        (b" " * (BODY_BYTES_MAX + 1), {}, 413, "TOO_LARGE"),
    ],
    ids=["unsigned", "another's", "of another body", "no hex", "no JSON", "no text", "too large"],
)
async def test_what_the_vendor_did_not_say_is_refused_with_its_reason_on_the_tape(
    vendor: Client, doors: Doors, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    response, problem = await vendor.ask("POST", DOOR, raw=body, key=None, **headers)
    assert (response.status, problem["reason"]) == (status, reason)
    assert [(each.refusal, each.run_id, each.body_sealed) for each in kept(doors)] == [(reason, "", b"")]
    assert not doors.bus.sent


async def test_a_flood_of_forgeries_does_not_fill_the_tape(vendor: Client, doors: Doors) -> None:
    for number in range(REFUSED_KEPT_PER_MINUTE_MAX + 5):
        response, _ = await vendor.ask("POST", DOOR, raw=told(run_id=f"r-{number}"), key=None)
        assert response.status == 401
    assert len(kept(doors)) <= REFUSED_KEPT_PER_MINUTE_MAX + 1
