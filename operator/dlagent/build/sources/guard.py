"""Sessions of `requests` that reach public addresses only, by https only.

A server chosen by whoever wrote an agent could else point at what only the cluster reaches, by a
redirect, or by a name that resolves to a private address. So each connection looks the name up
itself, checks what it finds, and connects to just that address: an answer that changes between the
check and the connection cannot matter.
"""

import fnmatch
import ipaddress
import os
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

MOST_REDIRECTS = 5
TIMEOUT_SECONDS = 30  # to connect, and between two pieces of an answer
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateAddressError(Exception):
    """A host is, or resolves to, an address that is not public; the message names both."""


def guarded_session(allowed_hosts: tuple[str, ...]) -> requests.Session:
    """A new session for public addresses."""
    session = requests.Session()
    guard(session, allowed_hosts)
    return session


def guard(session: requests.Session, allowed_hosts: tuple[str, ...]) -> None:
    """Make a session keep to https, to public addresses, and to few redirects.

    Hosts that match one of `allowed_hosts` may have any address. No proxy and no .netrc is used;
    SSL_CERT_FILE names other certificates to trust.

    Its requests then raise PrivateAddressError; requests' InvalidSchema for http://, and its
    TooManyRedirects.
    """
    session.trust_env = False
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    session.max_redirects = MOST_REDIRECTS
    session.adapters.clear()
    session.mount("https://", _GuardedAdapter(allowed_hosts))


def is_allowed(host: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Whether a host matches one of the patterns, such as `*.models.internal`, in any case."""
    return any(fnmatch.fnmatchcase(host.lower(), item.lower()) for item in allowed_hosts)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, also the IPv4 address inside an IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(item.is_global and not item.is_multicast for item in _meant(address))


def _meant(address: Address) -> list[Address]:
    """The address, or those that it stands for in the other protocol."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address]


class _GuardedConnection(HTTPSConnection):
    allowed_hosts: tuple[str, ...] = ()

    def _new_conn(self) -> socket.socket:
        error: OSError | None = None
        for address in self._addresses():
            try:
                return create_connection(
                    (address, self.port), self.timeout, socket_options=self.socket_options
                )
            except TimeoutError as problem:
                raise ConnectTimeoutError(self, f"{self.host} does not answer") from problem
            except OSError as problem:
                error = problem
        raise NewConnectionError(self, f"{self.host} cannot be reached: {error}")

    def _addresses(self) -> list[str]:
        """All addresses of the host, each of them checked."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            problem = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, problem) from error
        addresses = [str(item[4][0]) for item in found]
        if not is_allowed(self.host, self.allowed_hosts):
            for address in addresses:
                if not is_public(address):
                    raise PrivateAddressError(
                        f"{self.host} has the address {address}, which is not public"
                    )
        return addresses


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, allowed_hosts: tuple[str, ...]) -> None:
        self._allowed_hosts = allowed_hosts
        super().__init__()

    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **keywords: Any
    ) -> requests.Response:
        keywords["timeout"] = TIMEOUT_SECONDS  # oras gives none
        return super().send(request, *arguments, **keywords)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        super().init_poolmanager(*arguments, **keywords)
        connection = type(
            "Connection", (_GuardedConnection,), {"allowed_hosts": self._allowed_hosts}
        )
        pool = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
        self.poolmanager.pool_classes_by_scheme = {"https": pool}
