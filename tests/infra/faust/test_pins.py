"""What `infra/faust` replaces or leans on in Faust is what it was written against, to the letter."""

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from faust.app.base import App
from faust.stores.rocksdb import Store
from faust.streams import Stream
from faust.tables.base import Collection
from faust.tables.recovery import Recovery
from faust.tables.table import Table
from faust.topics import Topic
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

REPLACED: dict[Callable[..., Any], str] = {
    Consumer._filter_tps_with_pending_acks: "f6f9239774234e7e",
    Consumer._drain_messages: "44a2500309e83c63",
    Consumer._new_offset: "1d2c7ea89a7ad4f1",
    Consumer.on_partitions_revoked: "d04b7ae72c6fc206",
    Consumer.perform_seek: "0e8c130ff4b0afd8",
    driver.AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f6cad",
    driver.Consumer._new_consumer_thread: "0870ec53dea75083",
    driver.Producer._settings_extra: "a4c7bc41b6382223",
    FlowControlEvent.resume: "4dcdc1253fd0dcb4",
    Table.on_key_set: "a370e35ca55c2c7e",
    Collection.send_changelog: "3dd3884e1b5fc0e1",
}
"""Overridden, patched or extended by a class of ours."""

RELIED_ON: dict[Callable[..., Any], str] = {
    App._on_partitions_revoked: "d5c895bbe57dc73a",
    Collection._on_changelog_sent: "60122c86a120d82c",
    Collection.partition_for_key: "3b2291811b8dd791",
    Consumer._commit_tps: "a20e230b05ae8b15",
    Consumer.ack: "5fcf41cf45153475",
    Consumer.getmany: "4b168d84882a70d6",
    Consumer.wait_empty: "e4662fe24f094819",
    Recovery.on_recovery_completed: "6ef567acf072e46d",
    Store._db_for_partition: "cb7e67d5f9efc4bc",
    Store._set: "4227e561e288d941",
    Store._visible_items: "545dc16a2b25e4a4",
    Stream.take_events: "607d48aead118ba8",
    Topic._on_published: "7cfe9ebd65964b0a",
}
"""Not touched, but their order of doing things is part of why nothing is lost."""


def _name(value: Any) -> str:
    return getattr(value, "__qualname__", "")


@pytest.mark.parametrize(("package", "pinned"), VERSIONS.items())
def test_the_installed_version_is_the_pinned_one(package: str, pinned: str) -> None:
    assert version(package) == pinned, (
        f"{package} {version(package)} is not {pinned}: install from requirements.lock, or compare the new sources "
        "with infra/faust, run tests/infra/faust, and write the new version here"
    )


@pytest.mark.parametrize(("function", "written_against"), [*REPLACED.items(), *RELIED_ON.items()], ids=_name)
def test_the_source_is_the_one_that_infra_faust_was_written_against(
    function: Callable[..., Any], written_against: str
) -> None:
    found = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    assert found == written_against, (
        f"{function.__module__}.{function.__qualname__} is now {found}: read it beside infra/faust/transport.py and "
        "table.py, run tests/infra/faust (kills and rebalances), and only then write the new hash here"
    )
