"""Blocks of addresses: no two clusters share one, and taken ports are passed over."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent_local import addresses
from dlagent_local.addresses import BLOCKS, Addresses, NoFreeBlockError, claim, free, port_is_free

UNUSED = [250, 251]  # blocks that no cluster reaches before a hundred are up


@given(st.sampled_from(BLOCKS))
def test_pods_and_services_are_apart_and_inside_the_loopback_block(block: int) -> None:
    made = Addresses(block)

    whole = ipaddress.ip_network(f"127.{block}.0.0/16")
    pods, services = ipaddress.ip_network(made.pods), ipaddress.ip_network(made.services)
    assert {pods, services} == set(whole.subnets())
    assert ipaddress.ip_address(made.kubernetes_service) == services[1]


def test_no_port_is_shared_by_components_or_blocks() -> None:
    ports = [port for block in BLOCKS for port in Addresses(block).ports]

    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768, "above are the ports of outgoing connections"


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param([], True, id="free when nobody listens"),
        pytest.param([Addresses(70).port("kubelet")], False, id="not free when one is taken"),
        pytest.param([Addresses(71).port("kubelet")], True, id="others do not matter"),
    ],
)
def test_a_block_is_free_when_all_its_ports_are(taken: list[int], expected: bool) -> None:
    assert expected == free(Addresses(70), lambda port: port not in taken)


def test_a_claim_holds_until_its_socket_closes() -> None:
    first, held = claim(UNUSED)
    with held:
        second, other = claim(UNUSED)
        other.close()
        assert first.block != second.block
    again, held = claim(UNUSED)
    held.close()
    assert first.block == again.block


def test_no_free_block_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "port_is_free", lambda _port: False)

    with pytest.raises(NoFreeBlockError, match="dlagent local down"):
        claim(UNUSED)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)
