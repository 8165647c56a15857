"""A notice is the vendor's or it is nothing: signed over its very bytes, small, and read only after that."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from infra.kyc.notices import NOTICE_BYTES_MAX, Notice, NoticeRefused, Reason, read_notice

SECRET = SecretStr("webhook-secret-planted")
TOLD: dict[str, Any] = {
    "resource_type": "workflow_run",
    "action": "workflow_run.completed",
    "object": {"id": "run-1", "status": "approved", "href": "x"},
    "resource": {"customer_user_id": "acme/ann", "tags": ["other", "check:c-1"], "output": {}},
}


def signed(body: bytes, secret: SecretStr = SECRET) -> str:
    return hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()


def body_of(**changed: object) -> bytes:
    return json.dumps({"payload": TOLD | changed}).encode()


def refused(body: bytes, signature: str | None, secret: SecretStr = SECRET) -> Reason:
    with pytest.raises(NoticeRefused) as raised:
        read_notice(body, signature, secret)
    shown = f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"
    assert "planted" not in shown
    return raised.value.reason


def test_reads_what_the_vendor_signed() -> None:
    body = body_of()
    assert read_notice(body, signed(body), SECRET) == Notice(
        action="workflow_run.completed",
        resource_type="workflow_run",
        object_id="run-1",
        status="approved",
        customer="acme/ann",
        check_id="c-1",
    )


@pytest.mark.parametrize("resource", [{}, {"tags": None, "customer_user_id": None}, {"tags": ["x"]}])
def test_reads_a_notice_without_hints(resource: object) -> None:
    body = body_of(resource=resource, object={"id": "run-1"})
    found = read_notice(body, signed(body), SECRET)
    assert (found.object_id, found.status, found.customer, found.check_id) == ("run-1", "", "", "")


def test_a_notice_of_another_kind_is_read_too() -> None:
    body = body_of(resource_type="audit_log", action="audit_log.created")
    assert read_notice(body, signed(body), SECRET).action == "audit_log.created"


@pytest.mark.parametrize("signature", [None, ""])
def test_an_unsigned_notice_is_refused(signature: str | None) -> None:
    assert refused(body_of(), signature) is Reason.UNSIGNED


def test_a_notice_under_another_secret_is_refused() -> None:
    assert refused(body_of(), signed(body_of(), SecretStr("another"))) is Reason.FORGED


def test_a_signature_of_another_notice_is_refused() -> None:
    assert refused(body_of(action="check.completed"), signed(body_of())) is Reason.FORGED
    assert refused(body_of() + b" ", signed(body_of())) is Reason.FORGED


@pytest.mark.parametrize("signature", ["x", "é" * 64, "0" * 64, "\ud800", "a" * 10_000])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert refused(body_of(), signature) is Reason.FORGED


def test_without_a_secret_nobody_is_believed() -> None:
    body = body_of()
    assert refused(body, signed(body, SecretStr("")), SecretStr("")) is Reason.FORGED


def test_a_large_notice_is_refused_before_it_is_hashed() -> None:
    body = b" " * (NOTICE_BYTES_MAX + 1)
    assert refused(body, signed(body)) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfeplanted",
        b'{"payload":{}}',
        b'{"payload":{"action":1,"resource_type":"planted","object":{"id":"x"}}}',
        body_of(object={}),
        body_of(object={"id": 7}),
        body_of(resource="planted"),
        body_of(resource={"tags": [7]}),
        b"[" * 50_000,
    ],
)
def test_a_signed_notice_that_says_nothing_is_unreadable(body: bytes) -> None:
    assert refused(body, signed(body)) is Reason.UNREADABLE


@given(body=st.binary(max_size=200), signature=st.text())
def test_nothing_else_ever_happens(body: bytes, signature: str) -> None:
    for each in (signature, signed(body)):
        with pytest.raises(NoticeRefused):
            read_notice(body, each, SECRET)
