"""AWS KMS -> wrapped data keys: the master key stays with Amazon, who logs every use of it.

boto3 blocks, so every call has a thread. Credentials and region come from where AWS's own tools look for them.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from infra.kms.port import KeyRefused, KeysUnavailable

CONNECT_S = 2
"""Longest wait for a connection."""
READ_S = 3
"""Longest wait for an answer: KMS answers in milliseconds."""
TRIES_MAX = 2
"""Calls until boto3 gives up; with their waits they must fit into the time that a client waits for a POST."""
BUSY = frozenset(
    {
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Errors of KMS after which the same call may work."""
SERVER_ERROR = 500


class AwsKeys:
    """The AWS arm of the key port: one symmetric key of KMS."""

    def __init__(self, key_id: str, *, endpoint: str | None = None) -> None:
        """`key_id` is an id, an ARN or `alias/…`; an endpoint is given to tests and to VPC endpoints."""
        if not key_id:
            raise KeyRefused("TAPELINE_KMS=aws needs TAPELINE_KMS_KEY_ID: the id, ARN or alias of a symmetric key")
        self._key_id = key_id
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"total_max_attempts": TRIES_MAX, "mode": "standard"},
        )
        try:
            self._client: Any = boto3.client("kms", endpoint_url=endpoint, config=config)
        except (BotoCoreError, ValueError) as error:
            raise KeyRefused(
                f"KMS cannot be used: {error} Set AWS_REGION and credentials as AWS's tools ask"
            ) from error

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """This data key, readable by `unwrap` alone."""
        answer = await self._call(self._client.encrypt, Plaintext=key, EncryptionContext=dict(context))
        return bytes(answer["CiphertextBlob"])

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key again. Raises KeyRefused, KeysUnavailable."""
        answer = await self._call(self._client.decrypt, CiphertextBlob=wrapped, EncryptionContext=dict(context))
        return bytes(answer["Plaintext"])

    async def _call(self, verb: Callable[..., Any], **fields: object) -> Any:
        try:
            return await asyncio.to_thread(verb, KeyId=self._key_id, **fields)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in BUSY or status >= SERVER_ERROR:
                raise KeysUnavailable(f"KMS is busy ({code}): try again later") from error
            raise KeyRefused(
                f"KMS refuses key {self._key_id} ({code}): look at its state, its policy and the caller's credentials"
            ) from error
        except (exceptions.ConnectionError, HTTPClientError) as error:
            raise KeysUnavailable(f"KMS cannot be reached ({type(error).__name__}): try again later") from error
        except BotoCoreError as error:
            # What is left speaks of our side: no credentials, a malformed request.
            raise KeyRefused(f"KMS cannot be asked: {error}") from error
