"""The contract of the key port, held against the file arm and against the AWS arm on a real server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import sealing
from infra.kms.aws import AwsKeys
from infra.kms.local import LocalKeys
from infra.kms.port import DATA_KEY_BYTES, KeyPort, KeyRefused, KeysUnavailable
from infra.sealing import Erased, Vault
from infra.settings import Settings
from tests.kit import moto
from tests.kit.moto import CREDENTIALS, new_key

ANN = {"tenant": "acme", "subject": "ann"}
BOB = {"tenant": "acme", "subject": "bob"}
Arm = Callable[[], KeyPort]
"""Makes the same key service anew, as another process would; sharing nothing with the arm beside it."""


@pytest.fixture(scope="session")
def kms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one moto server for the whole run."""
    with moto.running(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Credentials in the environment, and the address."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return str(request.getfixturevalue("kms"))


@pytest.fixture(params=["local", "aws"])
def arms(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Arm, Arm]:
    """Two key services of the same kind that share nothing."""
    if request.param == "local":
        return lambda: LocalKeys(tmp_path / "one"), lambda: LocalKeys(tmp_path / "other")
    endpoint = request.getfixturevalue("aws")
    one, other = new_key(endpoint), new_key(endpoint)
    return lambda: AwsKeys(one, endpoint=endpoint), lambda: AwsKeys(other, endpoint=endpoint)


async def test_a_wrapped_key_is_unwrapped_by_another_life_of_the_service(arms: tuple[Arm, Arm]) -> None:
    key = os.urandom(DATA_KEY_BYTES)
    wrapped = await arms[0]().wrap(key, ANN)
    assert await arms[0]().unwrap(wrapped, ANN) == key
    assert key not in wrapped


async def test_the_order_of_the_context_does_not_matter(arms: tuple[Arm, Arm]) -> None:
    keys, key = arms[0](), os.urandom(DATA_KEY_BYTES)
    assert await keys.unwrap(await keys.wrap(key, ANN), dict(reversed(ANN.items()))) == key


async def test_a_key_that_was_wrapped_for_another_is_refused(arms: tuple[Arm, Arm]) -> None:
    keys = arms[0]()
    wrapped = await keys.wrap(os.urandom(DATA_KEY_BYTES), ANN)
    with pytest.raises(KeyRefused):
        await keys.unwrap(wrapped, BOB)
    with pytest.raises(KeyRefused):
        await keys.unwrap(wrapped, {})


async def test_a_key_that_another_service_wrapped_is_refused(arms: tuple[Arm, Arm]) -> None:
    wrapped = await arms[0]().wrap(os.urandom(DATA_KEY_BYTES), ANN)
    with pytest.raises(KeyRefused):
        await arms[1]().unwrap(wrapped, ANN)


@pytest.mark.parametrize("damaged", [lambda w: w[:-1] + bytes([w[-1] ^ 1]), lambda w: w[:5], lambda w: w[:0]])
async def test_a_damaged_key_is_refused(arms: tuple[Arm, Arm], damaged: Callable[[bytes], bytes]) -> None:
    keys = arms[0]()
    wrapped = await keys.wrap(os.urandom(DATA_KEY_BYTES), ANN)
    with pytest.raises(KeyRefused):
        await keys.unwrap(damaged(wrapped), ANN)


async def test_a_refusal_says_nothing_of_the_key(arms: tuple[Arm, Arm]) -> None:
    keys, key = arms[0](), os.urandom(DATA_KEY_BYTES)
    wrapped = await keys.wrap(key, ANN)
    with pytest.raises(KeyRefused) as refused:
        await keys.unwrap(wrapped, BOB)
    shown = f"{refused.value} {refused.value!r} {keys!r} {vars(keys)!r}"
    assert not [form for form in (key.hex(), repr(key)[2:-1], wrapped.hex()) if form in shown]
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in shown


async def test_a_vault_over_either_service_seals_and_erases(arms: tuple[Arm, Arm], tmp_path: Path) -> None:
    vault = Vault(arms[0](), tmp_path / "vault")
    sealed = await vault.seal("acme", "ann", b"Ann Example", "field")
    assert await Vault(arms[0](), tmp_path / "vault").unseal("acme", "ann", sealed, "field") == b"Ann Example"
    with pytest.raises(KeyRefused):
        await Vault(arms[1](), tmp_path / "vault").unseal("acme", "ann", sealed, "field")
    assert await vault.erase("acme", "ann")
    with pytest.raises(Erased):
        await vault.unseal("acme", "ann", sealed, "field")


async def test_the_settings_name_the_service(aws: str, tmp_path: Path) -> None:
    where = Settings(state_dir=tmp_path, kms="aws", kms_key_id=new_key(aws), kms_endpoint=aws)
    sealed = await sealing.vault(where).seal("acme", "ann", b"Ann Example", "field")
    assert await sealing.vault(where).unseal("acme", "ann", sealed, "field") == b"Ann Example"
    assert not (tmp_path / "keys").exists(), "no key of this machine is made beside that of KMS"


def test_a_key_of_aws_must_be_named() -> None:
    with pytest.raises(KeyRefused, match="TAPELINE_KMS_KEY_ID"):
        AwsKeys("")


async def test_an_unknown_key_of_aws_is_refused_by_name(aws: str) -> None:
    with pytest.raises(KeyRefused, match="alias/nobody"):
        await AwsKeys("alias/nobody", endpoint=aws).wrap(bytes(DATA_KEY_BYTES), ANN)


async def test_aws_without_credentials_is_refused_with_the_remedy(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(KeyRefused, match="credentials"):
        await AwsKeys("some-key", endpoint=aws).wrap(bytes(DATA_KEY_BYTES), ANN)


async def test_a_service_that_cannot_be_reached_may_be_asked_again(aws: str, unused_tcp_port: int) -> None:
    keys = AwsKeys("some-key", endpoint=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(KeysUnavailable):
        await keys.wrap(bytes(DATA_KEY_BYTES), ANN)


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (400, "ThrottlingException", KeysUnavailable),
        (500, "KMSInternalException", KeysUnavailable),
        (503, "Whatever", KeysUnavailable),
        (400, "DisabledException", KeyRefused),
        (400, "AccessDeniedException", KeyRefused),
    ],
)
async def test_a_busy_service_may_be_asked_again_and_a_no_is_a_no(
    aws: str, monkeypatch: pytest.MonkeyPatch, status: int, code: str, raised: type[Exception]
) -> None:
    keys = AwsKeys(new_key(aws), endpoint=aws)
    answer: Any = type("Http", (), {"status_code": status, "headers": {}, "raw": None, "content": b""})()
    # The library's own hook stands in for what moto never says.
    body = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    keys._client.meta.events.register("before-call.kms", lambda **_: (answer, body))
    with pytest.raises(raised, match=code):
        await keys.wrap(bytes(DATA_KEY_BYTES), ANN)
