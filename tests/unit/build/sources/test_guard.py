"""Which addresses a build may reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.build.sources.guard import is_allowed, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        pytest.param("93.184.215.14", True, id="the public internet"),
        pytest.param("2606:2800:21f:cb07::1", True, id="the public internet by IPv6"),
        pytest.param("127.0.0.1", False, id="loopback"),
        pytest.param("10.1.2.3", False, id="a private network"),
        pytest.param("172.16.0.1", False, id="another private network"),
        pytest.param("192.168.1.1", False, id="a home network"),
        pytest.param("100.64.0.1", False, id="a provider's own network"),
        pytest.param("169.254.169.254", False, id="the metadata of a cloud"),
        pytest.param("224.0.0.1", False, id="a group"),
        pytest.param("239.255.255.250", False, id="a group of a site"),
        pytest.param("255.255.255.255", False, id="everyone"),
        pytest.param("0.0.0.0", False, id="this host"),
        pytest.param("::1", False, id="loopback by IPv6"),
        pytest.param("::", False, id="this host by IPv6"),
        pytest.param("fe80::1%eth0", False, id="a link"),
        pytest.param("fd00:ec2::254", False, id="the metadata of a cloud by IPv6"),
        pytest.param("ff0e::1", False, id="a group by IPv6"),
        pytest.param("::ffff:10.0.0.1", False, id="a private address in IPv6"),
        pytest.param("::ffff:8.8.8.8", True, id="a public address in IPv6"),
        pytest.param("64:ff9b::10.0.0.1", False, id="a private address behind NAT64"),
        pytest.param("64:ff9b::808:808", True, id="a public address behind NAT64"),
        pytest.param("2002:a00:1::1", False, id="a private address behind 6to4"),
        pytest.param("2001:0:5ef5:79fd:0:59d:f5ff:fffe", False, id="a private address of Teredo"),
    ],
)
def test_an_address_is_public_or_not(address: str, public: bool) -> None:
    assert public is is_public(address)


@given(st.ip_addresses(v=4))
def test_ipv6_forms_of_an_address_are_no_way_around(address: object) -> None:
    if not is_public(str(address)):
        assert not is_public(f"::ffff:{address}")
        assert not is_public(f"64:ff9b::{address}")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        pytest.param("models.corp.example", True, id="as it is written"),
        pytest.param("MODELS.corp.example", True, id="in capital letters"),
        pytest.param("a.models.internal", True, id="by a pattern"),
        pytest.param("a.b.models.internal", True, id="deeper by a pattern"),
        pytest.param("models.internal", False, id="the pattern's own domain"),
        pytest.param("models.corp.example.evil.example", False, id="with more behind it"),
        pytest.param("evil-models.corp.example", False, id="with more before it"),
    ],
)
def test_a_host_is_allowed_by_name_or_pattern(host: str, allowed: bool) -> None:
    assert allowed is is_allowed(host, ("Models.corp.example", "*.models.internal"))
