"""Notices of the KYC vendor -> onboarding.notices: signed, kept, answered; they decide nothing."""

from aiohttp import web

from gateways.http import BODY_BYTES_MAX
from gateways.patience import in_time
from gateways.problems import Problem, unavailable
from gateways.routes import Call, Route
from infra.kafka.sender import SendFailed
from infra.kms.port import KeysUnavailable
from infra.kyc.notices import SIGNATURE_HEADER, NoticeRefused, Reason

NOTICE_PATH = "/v1/webhooks/onfido"
_STATUS = {Reason.TOO_LARGE: 413, Reason.UNREADABLE: 400}


async def notice(call: Call, _: None) -> web.Response:
    """204 once the notice is kept; 401 for one that the vendor did not sign, which is kept as refused."""
    inbox = call.services.inbox
    try:
        async with in_time():
            body = await call.request.read()
    except web.HTTPRequestEntityTooLarge as error:
        await inbox.refuse(Reason.TOO_LARGE, b"")
        raise _problem(Reason.TOO_LARGE) from error
    try:
        await inbox.take(body, call.request.headers.get(SIGNATURE_HEADER))
    except NoticeRefused as refused:
        raise _problem(refused.reason) from refused
    except (SendFailed, KeysUnavailable) as away:
        # The vendor sends it again; were it never to, the slow poll finds what it was about.
        raise unavailable("notice-not-kept", "The notice could not be kept.", "Send it again.") from away
    return web.Response(status=204)


def _problem(reason: Reason) -> Problem:
    return Problem(
        _STATUS.get(reason, 401),
        "notice-refused",
        f"The notice is {reason.value.replace('_', ' ')}.",
        field="body" if reason in _STATUS else SIGNATURE_HEADER,
        remedy=f"Sign the body, of at most {BODY_BYTES_MAX} bytes, with the secret of this webhook.",
        reason=reason.name,
    )


ROUTES = (
    Route(
        method="POST",
        path=NOTICE_PATH,
        handler=notice,
        summary="A notice of the KYC vendor",
        answers={204: None},
        is_signed=True,
    ),
)
"""The webhook of onboarding."""
