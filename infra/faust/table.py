"""One agent's Faust table -> all states of a partition in memory beside it, and the records that keep what changed.

A mark concerns every account of its partition, and a table cannot say which those are without reading them all: so a
partition is read once when it becomes ours, and from then on memory and table are changed together. Three keys that no
account can have keep what the partition shares: its board, the fold of its broadcasts, and the last link of each chain.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import faust
import msgspec
from rocksdict import WriteBatch

from domain.market_data.marks import Board
from infra.faust.agent import Agent
from infra.faust.values import Values
from infra.kafka.chain import Link
from infra.kafka.records import Outgoing
from infra.settings import PARTITIONS

S = TypeVar("S")

BOARD_KEY = b"\x00board"
LINKS_KEY = b"\x00links"
SHARED_KEY = b"\x00shared"
BLOCK_CACHE_BYTES = 16 << 20  # Per partition; RocksDB's own default would be gigabytes. States are in memory anyway.
WRITE_BUFFER_BYTES = 8 << 20
WRITE_BUFFERS_MAX = 2  # One is filled while the other is written out.


class Links(msgspec.Struct, frozen=True, array_like=True):
    """The last record that was read of each chained topic in this partition."""

    by_topic: dict[str, Link] = {}


class Account(msgspec.Struct, Generic[S]):
    """One key's state as it is in the table, or will be when the batch under way is put."""

    seen: dict[str, int]
    state: S


class Partition(msgspec.Struct, Generic[S]):
    """Everything the agent knows of one partition."""

    accounts: dict[bytes, Account[S]]
    board_seen: dict[str, int]
    board: Board
    shared_seen: dict[str, int]
    shared: Any
    links: dict[str, Link]


class Changed(msgspec.Struct):
    """What a batch changed in one partition: accounts by their keys, in the order they were met, and what is shared."""

    keys: dict[bytes, None] = msgspec.field(default_factory=dict)
    board: bool = False
    shared: bool = False
    links: bool = False


class KeptTable(faust.Table[bytes, bytes]):
    """A Faust table whose values are put when its changelog has them.

    Faust puts first and sends later, a key at a time, in seventeen calls; a batch knows all its values at once. What
    Faust keeps of a table stays as it is: who has which partition, the recovery from the changelog, and the folder.
    """

    def __init__(self, app: faust.App, name: str) -> None:
        super().__init__(
            app,
            name=name,
            key_type=bytes,
            value_type=bytes,
            partitions=PARTITIONS,
            beacon=app.tables.beacon,
            options={
                "block_cache_size": BLOCK_CACHE_BYTES,
                "write_buffer_size": WRITE_BUFFER_BYTES,
                "max_write_buffer_number": WRITE_BUFFERS_MAX,
            },
        )
        app.tables.add(self)

    def put(self, partition: int, records: Iterable[Outgoing], newest: int) -> None:
        """Put what the changelog of this partition has, up to its offset `newest`, in one write.

        The offset is what a recovery begins behind; it and the values are in the store together, or not at all.
        """
        store: Any = self.data
        batch = WriteBatch(raw_mode=True)
        for record in records:
            batch.put(record.key, record.value)
        if newest >= 0:  # A broker that took a repeated batch for known may have forgotten where it stands.
            batch.put(store.offset_key, str(newest).encode())
        store._db_for_partition(partition).write(batch)  # noqa: SLF001  # Faust has no public way.

    def items_of(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values of one partition, from the local store."""
        store: Any = self.data
        yield from store._visible_items(store._db_for_partition(partition))  # noqa: SLF001  # Faust has no public way.


class States(Generic[S]):
    """The partitions of one agent: read from its table when first asked for, forgotten at each rebalance."""

    def __init__(self, agent: Agent[S], table: KeptTable) -> None:
        self._agent = agent
        self._table = table
        self._values: Values[S] = Values(type(agent.initial))
        self._boards = Values(Board)
        self._shared: Values[Any] = Values(type(agent.shared))
        self._links = Values(Links)
        self._partitions: dict[int, Partition[S]] = {}
        table.on_recover(self._forget)

    def of(self, number: int) -> Partition[S]:
        """The partition of this number, which is ours."""
        found = self._partitions.get(number)
        if found is None:
            found = self._partitions[number] = self._read(number)
        return found

    def account(self, partition: Partition[S], key: bytes) -> Account[S]:
        """This key's state, the initial one if it has none."""
        found = partition.accounts.get(key)
        if found is None:
            found = partition.accounts[key] = Account({}, self._agent.initial)
        return found

    def records(self, number: int, changed: Changed) -> list[Outgoing]:
        """What is to be written of a partition, in its order.

        The board comes after the accounts: a board that is kept says that they are. So does the fold of the broadcasts,
        with which they were decided; the chains' last links are the very last of a batch.
        """
        partition = self.of(number)
        records = [Outgoing(key, self._account_value(partition, key)) for key in changed.keys]
        if changed.board:
            records.append(Outgoing(BOARD_KEY, self._boards.encode(partition.board_seen, partition.board)))
        if changed.shared:
            records.append(Outgoing(SHARED_KEY, self._shared.encode(partition.shared_seen, partition.shared)))
        if changed.links:
            records.append(Outgoing(LINKS_KEY, self._links.encode({}, Links(partition.links))))
        return records

    def _account_value(self, partition: Partition[S], key: bytes) -> bytes:
        """One account; every mark so far has been applied to it, so it says so."""
        account = partition.accounts[key]
        for topic, offset in partition.board_seen.items():
            account.seen[topic] = max(offset, account.seen.get(topic, -1))
        return self._values.encode(account.seen, account.state)

    async def _forget(self) -> None:
        self._partitions.clear()

    def _read(self, number: int) -> Partition[S]:
        partition: Partition[S] = Partition({}, {}, Board(), {}, self._agent.shared, {})
        for key, value in self._table.items_of(number):
            if key == BOARD_KEY:
                partition.board_seen, partition.board = self._boards.decode(value)
            elif key == SHARED_KEY:
                partition.shared_seen, partition.shared = self._shared.decode(value)
            elif key == LINKS_KEY:
                partition.links = dict(self._links.decode(value)[1].by_topic)
            else:
                partition.accounts[key] = Account(*self._values.decode(value))
        return partition
