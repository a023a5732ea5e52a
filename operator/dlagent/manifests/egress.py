"""What pods may reach beyond their namespace, as rules of a NetworkPolicy."""

from collections.abc import Sequence

from dlagent.manifests.common import Object
from dlagent.manifests.settings import Egress

# Addresses that are not of the public internet: of this host, of private networks, of links
# (where clouds keep the credentials of their machines), of groups, of benchmarks and examples.
NOT_PUBLIC_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
)
PUBLIC_V6 = "2000::/3"
_DNS_PORT, _HTTPS_PORT = 53, 443


def outward(named: Sequence[Egress]) -> list[Object]:
    """DNS, HTTPS at public addresses, and what the settings name."""
    return [_dns(), _public_https(), *(_named(entry) for entry in named)]


def _dns() -> Object:
    # To any pod: clusters run it in places and under labels of their own.
    ports = [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]
    return {"to": [{"namespaceSelector": {}}], "ports": ports}


def _public_https() -> Object:
    return {
        "to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_PUBLIC_V4)}},
            {"ipBlock": {"cidr": PUBLIC_V6}},
        ],
        "ports": [{"protocol": "TCP", "port": _HTTPS_PORT}],
    }


def _named(entry: Egress) -> Object:
    return {
        "to": [{"ipBlock": {"cidr": str(entry.cidr)}}],
        "ports": [{"protocol": str(entry.protocol), "port": entry.port}],
    }
