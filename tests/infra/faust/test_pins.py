"""What `infra/faust` replaces or leans on in Faust is what it was written against, to the letter."""

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from faust.agents import Agent
from faust.app.base import App
from faust.stores.rocksdb import Store
from faust.tables.recovery import Recovery
from faust.topics import Topic
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

REPLACED: dict[Callable[..., Any], str] = {
    Consumer._drain_messages: "44a2500309e83c63",
    Consumer._filter_tps_with_pending_acks: "f6f9239774234e7e",
    Consumer._new_offset: "1d2c7ea89a7ad4f1",
    Consumer.getmany: "4b168d84882a70d6",
    Consumer.wait_empty: "e4662fe24f094819",
    driver.AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f6cad",
    driver.Consumer._new_consumer_thread: "0870ec53dea75083",
    driver.Producer._settings_extra: "a4c7bc41b6382223",
    FlowControlEvent.resume: "4dcdc1253fd0dcb4",
}
"""Overridden, patched or extended by a class of ours."""

RELIED_ON: dict[Callable[..., Any], str] = {
    Agent.actor_from_stream: "f1fe9361f5460611",
    AIOKafkaProducer.send_batch: "bf42b0f0c5c0646d",
    App._consumer_wait_empty: "6bc313c48c064b16",
    App._on_partitions_revoked: "d5c895bbe57dc73a",
    App._stop_consumer: "55854a5de12c3f52",
    BatchBuilder.append: "657d76f55157d9ca",
    Consumer._commit_tps: "a20e230b05ae8b15",
    Consumer._filter_committable_offsets: "dc5e9baf5d994485",
    Consumer._wait_next_records: "6218e1969a636b3f",
    Consumer.commit: "a354437baaa08bf8",
    Consumer.maybe_wait_for_commit_to_finish: "d687f63a0b5ef0c5",
    Consumer.on_partitions_revoked: "d04b7ae72c6fc206",
    Consumer.perform_seek: "0e8c130ff4b0afd8",
    driver.AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1455a",
    Fetcher.fetched_records: "be4348896b9b66af",
    MessageAccumulator._pop_batch: "41cc98a298ef2628",
    MessageAccumulator.add_batch: "5ed1c5b1367ad854",
    Recovery._add: "1584a197b11bf835",
    Recovery.on_recovery_completed: "6ef567acf072e46d",
    Store._db_for_partition: "cb7e67d5f9efc4bc",
    Store._visible_items: "545dc16a2b25e4a4",
    Store.apply_changelog_batch: "ea3344d369fc4ab5",
    Store.persisted_offset: "6f2e502fb86043a1",
    Topic.__aiter__: "838623ae001ec5d1",
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
