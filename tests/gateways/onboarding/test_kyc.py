"""A check is asked for with words that can be a person's, which leave the door as ciphertext."""

from typing import Any

import msgspec
import pytest

from domain.onboarding.reports import APPLICANT_CONTEXT
from gateways.http import BODY_BYTES_MAX
from infra.kyc.records import Applicant
from infra.tokens import Scope
from tests.kit.doors import Client, Doors
from tests.kit.orders import open_trading

CHECKS = "/v1/accounts/{}/kyc/checks"
ANN: dict[str, Any] = {"first_name": "Ännchen", "last_name": "O'Planted-Núñez", "date_of_birth": "1990-12-31"}
HOME = {"country": "GBR", "postcode": "SW4 6EH", "street": "Second Street", "town": "Plantedham"}


async def test_gives_a_check_that_waits(trader: Client, doors: Doors) -> None:
    response, check = await trader.ask("POST", CHECKS, ANN | {"email": "ann@planted.example", "address": HOME})
    assert (response.status, check["status"]) == (201, "WAITING")
    assert response.headers["Location"].endswith(f"/kyc/checks/{check['check_id']}")
    (issued,) = [each for each in doors.bus.sent if each.command.__class__.__name__ == "RequestKycCheck"]
    sealed = issued.command.applicant_sealed
    opened = await doors.vault.unseal("acme", trader.account_id, sealed, APPLICANT_CONTEXT)
    applicant = msgspec.json.decode(opened, type=Applicant)
    assert (applicant.first_name, applicant.last_name) == (ANN["first_name"], ANN["last_name"])


async def test_no_word_of_a_person_leaves_the_door_in_the_clear(
    trader: Client, doors: Doors, capfd: pytest.CaptureFixture[str]
) -> None:
    _, check = await trader.ask("POST", CHECKS, ANN | {"address": HOME})
    _, problem = await trader.ask("POST", CHECKS, ANN | {"last_name": "<Planted>"})
    sent = b"".join(doors.services.codec.encode_command(each) for each in doors.bus.sent)
    said = msgspec.json.encode([check, problem]) + repr(doors.bus.sent).encode()
    logged = "".join(capfd.readouterr()).encode()
    for word in ("nnchen", "Planted", "1990-12-31", "SW4"):
        assert word.encode() not in sent + said + logged, word


async def test_a_repeat_gets_the_first_answer_and_another_person_does_not(trader: Client, doors: Doors) -> None:
    first = await trader.ask("POST", CHECKS, ANN, key="once")
    again = await trader.ask("POST", CHECKS, ANN, key="once")
    assert first[1] == again[1]
    response, _ = await trader.ask("POST", CHECKS, ANN | {"first_name": "Bob"}, key="once")
    assert response.status == 422
    response, problem = await trader.ask("POST", CHECKS, ANN, key="twice")
    assert (response.status, problem["reason"]) == (409, "CHECK_PENDING")


def written(**changes: Any) -> bytes:
    return msgspec.json.encode(ANN | changes)


BAD = [
    pytest.param(written().replace("Ännchen".encode(), b"\xc4nnchen"), "first_name", id="Latin-1"),
    pytest.param(written().replace("Ännchen".encode(), b"\\ud800"), "first_name", id="half a surrogate"),
    pytest.param(written(address=HOME).replace(b"Plantedham", b"\xff\xfe"), "town", id="not UTF-8 inside"),
    pytest.param(written(last_name="<script>alert(1)</script>"), "last_name", id="a script"),
    pytest.param(written(last_name="{{7*7}}"), "last_name", id="a template"),
    pytest.param(written(last_name="x'; DROP TABLE accounts"), "last_name", id="a query"),
    pytest.param(written(last_name="Ann\u0000"), "last_name", id="a null"),
    pytest.param(written(last_name="Ann\u202egnp.exe"), "last_name", id="written backwards"),
    pytest.param(written(last_name="Ann\nBob"), "last_name", id="two lines"),
    pytest.param(written(last_name="  "), "last_name", id="blank"),
    pytest.param(written(last_name="12"), "last_name", id="no letter"),
    pytest.param(written(last_name="a" * 101), "last_name", id="too long"),
    pytest.param(written(last_name=7), "last_name", id="a number"),
    pytest.param(written(date_of_birth="31.12.1990"), "date_of_birth", id="another order"),
    pytest.param(written(date_of_birth="1990-02-30"), "date_of_birth", id="no such day"),
    pytest.param(written(date_of_birth="0001-01-01"), "date_of_birth", id="nobody lives so long"),
    pytest.param(written(email="ann"), "email", id="no address of mail"),
    pytest.param(written(email="<b>@x.example"), "email", id="markup in mail"),
    pytest.param(written(address=HOME | {"country": "uk"}), "address.country", id="no country"),
    pytest.param(written(address=HOME | {"street": "<b>"}), "address.street", id="markup in a street"),
    pytest.param(written(passport="P-1"), "passport", id="more than is asked"),
    pytest.param(b'{"first_name": "Ann"}', "last_name", id="too little"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_names_the_wrong_field_and_sends_nothing(trader: Client, doors: Doors, body: bytes, field: str) -> None:
    response, problem = await trader.ask("POST", CHECKS, raw=body)
    assert response.status in (400, 422), problem
    assert problem["field"] == field
    assert problem["remedy"]
    assert not doors.bus.sent


# The client warns of its own trouble with a body of this size.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_ten_megabytes_of_name_are_refused_before_they_are_read(trader: Client, doors: Doors) -> None:
    response, problem = await trader.ask("POST", CHECKS, raw=written(last_name="a" * 10_000_000))
    assert (response.status, problem["field"]) == (413, "body")
    assert str(BODY_BYTES_MAX) in problem["detail"]
    assert not doors.bus.sent


@pytest.mark.parametrize(
    "name", ["Björk Guðmundsdóttir", "李小龍", "محمد", "Nguyễn Thị", "Mary-Jane St. John", "D'Arcy"]
)
async def test_takes_what_people_are_called(trader: Client, name: str) -> None:
    response, _ = await trader.ask("POST", CHECKS, ANN | {"last_name": name})
    assert response.status == 201


async def test_an_erased_person_is_not_checked_again(trader: Client, doors: Doors) -> None:
    await doors.vault.erase("acme", trader.account_id)
    response, _ = await trader.ask("POST", CHECKS, ANN)
    assert response.status == 410
    assert not doors.bus.sent


async def test_an_officer_ends_a_check_and_nobody_else(trader: Client, doors: Doors) -> None:
    _, check = await trader.ask("POST", CHECKS, ANN)
    path = f"{CHECKS}/{check['check_id']}/expire"
    response, _ = await trader.ask("POST", path, {"cause": "moved"})
    assert response.status == 403
    officer = trader.with_token(doors.token(trader.account_id, [Scope.RISK]))
    response, ended = await officer.ask("POST", path, {"cause": "moved"})
    assert (response.status, ended["status"], ended["is_halted"]) == (200, "EXPIRED", False)
    response, problem = await officer.ask("POST", path, {"cause": "moved"})
    assert (response.status, problem["reason"]) == (409, "ALREADY_EXPIRED")


async def test_an_account_without_a_passed_check_is_told_what_is_missing(trader: Client, doors: Doors) -> None:
    stranger = Client(trader.session, trader.url, doors.token("stranger"), "stranger")
    doors.bus.as_saga("orders", "stranger", open_trading())
    response, problem = await stranger.place()
    assert (response.status, problem["reason"]) == (409, "KYC_PENDING")
    assert "kyc/checks" in problem["remedy"]
