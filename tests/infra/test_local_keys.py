"""The key file of one machine: made once, for its owner only, and never half."""

import os
import stat
from pathlib import Path

import pytest

from infra.kms.local import LocalKeys
from infra.kms.port import DATA_KEY_BYTES, KeyRefused


def key_file(state_dir: Path) -> Path:
    LocalKeys(state_dir)
    return state_dir / "keys" / "vault.key"


def test_is_made_for_its_owner_only_and_made_once(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(before.decode())) == DATA_KEY_BYTES
    assert key_file(tmp_path).read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_key_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path).chmod(mode)
    with pytest.raises(KeyRefused, match="chmod 600"):
        LocalKeys(tmp_path)


@pytest.mark.parametrize("text", [b"", b"ab12", b"no hex at all", b"\xff\xfe"])
def test_a_damaged_key_is_never_made_anew(tmp_path: Path, text: bytes) -> None:
    path = key_file(tmp_path)
    path.write_bytes(text)
    with pytest.raises(KeyRefused, match="restore it from its copy"):
        LocalKeys(tmp_path)
    assert path.read_bytes() == text


def test_the_key_is_in_no_text_about_it(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    key = path.read_text().strip()
    keys = LocalKeys(tmp_path)
    path.write_text(key + key[:6])
    with pytest.raises(KeyRefused) as refused:
        LocalKeys(tmp_path)
    assert key[:6] not in f"{refused.value!r} {keys!r} {vars(keys)!r}"


async def test_two_wraps_of_one_key_differ(tmp_path: Path) -> None:
    keys, key = LocalKeys(tmp_path), os.urandom(DATA_KEY_BYTES)
    assert await keys.wrap(key, {}) != await keys.wrap(key, {})
