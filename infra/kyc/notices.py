"""A webhook of Onfido -> a notice that something happened: signed by the vendor, read, believed no further.

The signature covers no time, so a notice that is sent again, by anybody, is as good as the first: it may make us look,
it never decides. Nothing is parsed before the signature is found good.
"""

import hashlib
import hmac
from enum import StrEnum

import msgspec
from pydantic import SecretStr

from infra.kyc.onfido import LEAD

SIGNATURE_HEADER = "X-SHA2-Signature"
"""HMAC-SHA256 of the body under the webhook's token, in hexadecimal."""
NOTICE_BYTES_MAX = 65_536
"""A notice is a kilobyte or two; nothing longer is even hashed."""


class Reason(StrEnum):
    """Why a notice is refused."""

    TOO_LARGE = "too_large"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    UNREADABLE = "unreadable"


class NoticeRefused(Exception):
    """No notice of the vendor's."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the notice is {reason}")
        self.reason = reason


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What it says happened; `customer` and `check_id` are hints, empty where they are not told."""

    action: str
    resource_type: str
    object_id: str
    status: str
    customer: str
    check_id: str


def read_notice(body: bytes, signature: str | None, secret: SecretStr) -> Notice:
    """The notice in this body. Raises NoticeRefused."""
    if len(body) > NOTICE_BYTES_MAX:
        raise NoticeRefused(Reason.TOO_LARGE)
    if not signature:
        raise NoticeRefused(Reason.UNSIGNED)
    key = secret.get_secret_value().encode()
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    # Without a secret anybody could sign: then nothing is the vendor's.
    if not key or not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        raise NoticeRefused(Reason.FORGED)
    try:
        told = msgspec.json.decode(body, type=_Event).payload
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What it says may be personal: it is not quoted.
        raise NoticeRefused(Reason.UNREADABLE) from None
    checks = [tag.removeprefix(LEAD) for tag in told.resource.tags or () if tag.startswith(LEAD)]
    return Notice(
        action=told.action,
        resource_type=told.resource_type,
        object_id=told.object.id,
        status=told.object.status or "",
        customer=told.resource.customer_user_id or "",
        check_id=checks[0] if checks else "",
    )


class _Object(msgspec.Struct, frozen=True):
    id: str
    status: str | None = None


class _Resource(msgspec.Struct, frozen=True):
    customer_user_id: str | None = None
    tags: list[str] | None = None


class _Payload(msgspec.Struct, frozen=True):
    action: str
    resource_type: str
    object: _Object
    resource: _Resource = _Resource()


class _Event(msgspec.Struct, frozen=True):
    payload: _Payload
