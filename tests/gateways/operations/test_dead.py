"""Dead letters: each is listed once, and sent again exactly as it was."""

import pytest

from domain.accounts.events import CashDeposited
from gateways.operations import dead
from gateways.operations.dead import DeadLetter, NotRedriven
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived
from infra.kafka.sender import Sender
from infra.settings import DEAD_LETTER_BYTES_MAX
from tests.kit.deciding import Installation
from tests.kit.hosting import Broker
from tests.streams.test_deciders import deposit, opened

pytestmark = pytest.mark.kafka


@pytest.fixture
def commands(installation: Installation) -> str:
    return f"{installation.context}.commands"


async def all_of(reader: Reader, topic: str) -> list[DeadLetter]:
    return [letter async for letter in dead.letters(reader, [f"{topic}.dead"])]


async def bury(installation: Installation, arrived: Arrived, times: int = 1) -> None:
    sender = Sender(installation.bootstrap, "bury")
    for _ in range(times):
        await DeadLetters(sender).bury(arrived, "GARBAGE", "it sang")
    await sender.close()


async def test_there_are_none_at_first(reader: Reader, commands: str) -> None:
    assert await all_of(reader, commands) == []


async def test_a_letter_says_what_why_and_where_and_a_repeat_is_left_out(
    installation: Installation, reader: Reader, commands: str
) -> None:
    await bury(installation, Arrived(commands, 0, 41, b"\xff\x00key", b"garbage", {}), times=3)
    (letter,) = await all_of(reader, commands)
    assert (letter.cause, letter.detail, letter.source) == ("GARBAGE", "it sang", f"{commands}:0:41")
    assert (letter.key, letter.value, letter.size) == (b"\xff\x00key", b"garbage", 7)
    assert letter.id


@pytest.mark.parametrize(("key", "value"), [(b"\xff\x00key", b"\x00\x01\xfe"), (b"ann", b""), (b"", b"x" * 50_000)])
async def test_a_redriven_letter_is_the_record_that_it_was(
    installation: Installation, reader: Reader, commands: str, key: bytes, value: bytes
) -> None:
    headers = {"command-id": b"c7", "traceparent": b"00-1-2-01"}
    await bury(installation, Arrived(commands, 0, 7, key, value, headers))
    (letter,) = await all_of(reader, commands)
    sender = Sender(installation.bootstrap, "redrive")
    position = await dead.redrive(sender, letter)
    await sender.close()
    (again,) = await Broker(installation.bootstrap, installation.codec).all_of(commands)
    assert (again.key, again.value) == (key, value)
    assert again.headers == {**headers, "redriven-from": letter.id.encode()}
    assert position == f"{commands}:0:{again.offset}"


async def test_a_letter_whose_cause_was_mended_is_decided_when_it_is_redriven(
    installation: Installation, reader: Reader, commands: str
) -> None:
    issued = deposit(1)
    await installation.command([opened()])
    wrong_place = Arrived(commands, 0, 99, b"a", installation.codec.encode_command(issued), {})
    await bury(installation, wrong_place)
    async with installation.running():
        await installation.events(1)
        (letter,) = await all_of(reader, commands)
        sender = Sender(installation.bootstrap, "redrive")
        for _ in range(2):
            await dead.redrive(sender, letter)
        await sender.close()
        await installation.command([deposit(2)])
        events = await installation.events(3)
    assert [each.event.deposit_id for each in events if isinstance(each.event, CashDeposited)] == ["d1", "d2"]


async def test_a_letter_that_kept_only_a_part_is_not_sent_again(
    installation: Installation, reader: Reader, commands: str
) -> None:
    await bury(installation, Arrived(commands, 0, 7, b"ann", b"x" * (DEAD_LETTER_BYTES_MAX + 1), {}))
    (letter,) = await all_of(reader, commands)
    sender = Sender(installation.bootstrap, "redrive")
    with pytest.raises(NotRedriven, match=rf"only 65536 of 65537 bytes were kept; read the original at {commands}"):
        await dead.redrive(sender, letter)
    await sender.close()
    assert await Broker(installation.bootstrap, installation.codec).all_of(commands) == []
