"""A stand-in for AWS KMS: moto's server, as a process of its own on a free port."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3

from deploy.local import children, ports

START_SECONDS_MAX = 60.0
"""It takes two on an idle machine."""
STOP_SECONDS_MAX = 5.0
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its address, while it runs."""
    (port,) = ports.free(1)
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log, url = folder / "moto.log", f"http://127.0.0.1:{port}"
    child = children.spawn(argv, log=log, env={**os.environ, **CREDENTIALS})
    try:
        children.await_ready(child, lambda: _answers(url), name="moto", log=log, limit_s=START_SECONDS_MAX)
        yield url
    finally:
        children.stop(child, limit_s=STOP_SECONDS_MAX)


def new_key(endpoint: str) -> str:
    """The id of a new symmetric key."""
    answer = boto3.client("kms", endpoint_url=endpoint).create_key()
    return str(answer["KeyMetadata"]["KeyId"])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
