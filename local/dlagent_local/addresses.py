"""Addresses and ports of a cluster: a /16 of the loopback network and ten ports, both its own.

A cluster's block is claimed by an abstract Unix socket, which the supervisor inherits: it holds
for all users of the machine, and the kernel gives it back when the supervisor ends in any way.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BLOCKS = range(64, 255)  # of 127.X.0.0/16; the low ones are used by resolvers and the like
_FIRST_PORT = 16000  # below what Linux gives to outgoing connections
_PORTS_EACH = 10


class NoFreeBlockError(RuntimeError):
    """Every block of addresses is taken, or some port of its own is."""


@dataclass(frozen=True)
class Addresses:
    """What the block number decides."""

    block: int

    @property
    def pods(self) -> str:
        return f"127.{self.block}.0.0/17"

    @property
    def services(self) -> str:
        return f"127.{self.block}.128.0/17"

    @property
    def kubernetes_service(self) -> str:
        """The cluster IP that the apiserver gives to its own Service: the range's first."""
        return f"127.{self.block}.128.1"

    def port(self, component: str) -> int:
        """The port of a component on 127.0.0.1. KeyError when it has none."""
        return _FIRST_PORT + _PORTS_EACH * self.block + _PORT_OFFSETS[component]

    @property
    def ports(self) -> list[int]:
        return [self.port(component) for component in _PORT_OFFSETS]


_PORT_OFFSETS = {
    "kube-apiserver": 0,
    "etcd": 1,
    "etcd-peer": 2,
    "kube-controller-manager": 3,
    "kube-scheduler": 4,
    "kubelet": 5,
    "kubelet-health": 6,
    "envoy": 7,
}


def claim(blocks: Iterable[int] = BLOCKS) -> tuple[Addresses, socket.socket]:
    """A free block, and the socket that claims it for as long as any process holds it open.

    Raises NoFreeBlockError.
    """
    for block in blocks:
        held = _hold(block)
        if held is None:
            continue
        addresses = Addresses(block)
        if free(addresses, port_is_free):
            return addresses, held
        held.close()
    raise NoFreeBlockError("no free loopback block: stop a cluster with `dlagent local down`")


def free(addresses: Addresses, port_is_free: Callable[[int], bool]) -> bool:
    """Whether none of its ports is in use by somebody who made no claim."""
    return all(port_is_free(port) for port in addresses.ports)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def _hold(block: int) -> socket.socket | None:
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0dlagent-local-{block}")
    except OSError:
        held.close()
        return None
    return held
