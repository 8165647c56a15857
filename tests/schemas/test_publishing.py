"""Our schemas in registries of other people, under the ids that stand in every record."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

import main
from infra.avro import contracts, publishing
from infra.avro.codec import Codec
from infra.avro.publishing import PublishRefused, meaning, publish
from tests.kit import apicurio
from tests.kit.doors import Client, Doors
from tests.kit.registry import IMPORT, Registry

LOCKED = contracts.locked()
VERSIONS = Counter(subject for entry in LOCKED for subject in entry.subjects)
TOTAL = sum(VERSIONS.values())
ONE = next(entry for entry in LOCKED if entry.name == "tapeline.orders.OrderPlaced")
SUBJECT = ONE.subjects[0]
NOBODY = "http://127.0.0.1:1"


async def told(url: str, path: str, auth: aiohttp.BasicAuth | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession(auth=auth) as session, session.get(url + path) as response:
        return response.status, json.loads(await response.text())


async def agrees_with_the_lock(url: str, auth: aiohttp.BasicAuth | None = None) -> None:
    """The scenario table: what tools ask a registry, and what every registry with our schemas must answer."""

    async def ask(path: str) -> tuple[int, Any]:
        return await told(url, path, auth)

    assert {subject for subject in (await ask("/subjects"))[1] if subject in VERSIONS} == VERSIONS.keys()
    numbers: Counter[str] = Counter()
    for entry in LOCKED:
        text = meaning(contracts.published(entry))
        status, by_id = await ask(f"/schemas/ids/{entry.id}")
        assert (status, meaning(json.loads(by_id["schema"]))) == (200, text), f"id {entry.id} is not {entry.name}"
        used = {(each["subject"], each["version"]) for each in (await ask(f"/schemas/ids/{entry.id}/versions"))[1]}
        for subject in entry.subjects:
            numbers[subject] += 1
            found = (await ask(f"/subjects/{subject}/versions/{numbers[subject]}"))[1]
            assert (found["id"], found["version"], meaning(json.loads(found["schema"]))) == (
                entry.id,
                numbers[subject],
                text,
            )
            assert (subject, numbers[subject]) in used
    for path, status, code in (
        ("/subjects/nobody/versions", 404, 40401),
        ("/subjects/nobody/versions/1", 404, 40401),
        (f"/subjects/{SUBJECT}/versions/999", 404, 40402),
        ("/schemas/ids/999999", 404, 40403),
    ):
        answer = await ask(path)
        assert (answer[0], answer[1]["error_code"]) == (status, code), path
    for subject, versions in {SUBJECT: VERSIONS[SUBJECT], **dict(VERSIONS.most_common(3))}.items():
        assert (await ask(f"/subjects/{subject}/versions"))[1] == list(range(1, versions + 1))
        assert (await ask(f"/subjects/{subject}/versions/latest"))[1]["version"] == versions
    assert (await ask("/config"))[1]["compatibilityLevel"] == publishing.COMPATIBILITY
    assert "AVRO" in (await ask("/schemas/types"))[1]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with apicurio.running(tmp_path_factory.mktemp("apicurio")) as url:
        yield url


@pytest.fixture
async def trader(codec: Codec, state_dir: Path) -> AsyncIterator[Client]:
    async with Doors(codec, state_dir).open() as client:
        yield client


def shorter(folder: Path, entries: int) -> Path:
    """The repository as it was when so many texts were locked."""
    shutil.copytree(contracts.SCHEMAS / contracts.PUBLISHED_NAME, folder / contracts.PUBLISHED_NAME)
    lines = (contracts.SCHEMAS / contracts.LOCK_NAME).read_bytes().splitlines(keepends=True)
    (folder / contracts.LOCK_NAME).write_bytes(b"".join(lines[:entries]))
    return folder


@pytest.mark.timeout(240)
async def test_a_real_registry_holds_every_schema_under_its_id(real: str, tmp_path: Path) -> None:
    early = await publish(real, shorter(tmp_path, entries=60))
    later = await publish(real)
    assert (early.newest_id, early.known) == (60, 0)
    assert (later.published + later.known, later.newest_id) == (TOTAL, LOCKED[-1].id)
    await agrees_with_the_lock(real)
    again = await publish(real)
    assert (again.published, again.known) == (0, TOTAL)


async def test_our_own_view_answers_as_that_registry_does(trader: Client) -> None:
    await agrees_with_the_lock(trader.url, aiohttp.BasicAuth("token", trader.token))


async def test_an_empty_registry_gets_everything_in_import_mode() -> None:
    registry = Registry()
    async with registry.open() as url:
        done = await publish(url)
    assert done.published == TOTAL
    assert registry.modes == ["READWRITE", IMPORT, "READWRITE"]
    assert registry.compatibility == "BACKWARD_TRANSITIVE"
    assert set(registry.ids.values()) == {entry.id for entry in LOCKED}


async def test_goes_on_where_it_was_cut_short() -> None:
    registry = Registry()
    for entry in LOCKED[:3]:
        registry.keep(entry.subjects[0], json.dumps(contracts.published(entry)), entry.id)
    registry.modes.append(IMPORT)
    async with registry.open() as url:
        done = await publish(url)
    assert done.known == 3
    assert done.published + done.known == TOTAL


async def test_a_registry_that_numbers_otherwise_is_refused_by_name() -> None:
    registry = Registry(honours_ids=False)
    registry.add("somebody-else", '"string"')
    async with registry.open() as url:
        with pytest.raises(PublishRefused, match=r"gave id 2, here it is 1: .*Delete this subject"):
            await publish(url)
    assert registry.modes[-1] == "READWRITE", "import mode is left even when it fails"
    assert len(registry.subjects) == 2, "nothing was sent after the first wrong id"


async def test_another_schema_under_our_subject_is_refused_before_anything_is_sent() -> None:
    registry = Registry(honours_ids=False)
    registry.add(SUBJECT, '"string"')
    async with registry.open() as url:
        with pytest.raises(PublishRefused, match=f"{SUBJECT} version 1: the registry has another schema"):
            await publish(url)
    assert registry.modes == ["READWRITE"]
    assert list(registry.subjects) == [SUBJECT]


async def test_a_registry_that_will_not_change_its_mode_is_named() -> None:
    registry = Registry()
    registry.add("somebody-else", '"string"')
    async with registry.open() as url:
        with pytest.raises(PublishRefused, match=r"PUT \S+/mode: the registry answers 422"):
            await publish(url)


@pytest.mark.parametrize("url", [NOBODY, "no url"])
async def test_an_address_where_no_registry_is_says_so(url: str) -> None:
    with pytest.raises(PublishRefused, match="Check the URL"):
        await publish(url)


async def test_the_command_says_what_it_did_and_names_what_it_could_not() -> None:
    runner, registry = CliRunner(), Registry()
    async with registry.open() as url:
        done = await asyncio.to_thread(runner.invoke, main.app, ["schemas", "publish", url, "--json"])
    assert json.loads(done.stdout) == {"published": TOTAL, "known": 0, "newest_id": LOCKED[-1].id}
    refused = await asyncio.to_thread(runner.invoke, main.app, ["schemas", "publish", NOBODY])
    assert refused.exit_code == 2
    assert "no registry answers" in refused.stderr
