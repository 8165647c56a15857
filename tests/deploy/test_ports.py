"""Ports of the local stack: free, below the ephemeral range, never given twice."""

import socket

from deploy.local import ports

COUNT = 300


def test_no_port_is_given_twice() -> None:
    given = ports.free(COUNT) + [ports.one() for _ in range(COUNT)]
    assert len(set(given)) == 2 * COUNT


def test_every_port_lies_below_the_range_of_outgoing_connections() -> None:
    assert all(1024 < port < 32_768 for port in ports.free(COUNT))


def test_a_port_that_listens_is_not_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.one()))
        other.listen()
        assert not ports.is_free(other.getsockname()[1])


def test_the_preferred_port_is_taken_once() -> None:
    wanted = ports.one()
    ports.release(wanted)
    assert ports.preferred(wanted) == wanted
    assert ports.preferred(wanted) != wanted
