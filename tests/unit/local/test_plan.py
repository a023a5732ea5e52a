"""The plan: what is started with which flags."""

import itertools
from pathlib import Path

import pytest

from dlagent_local.addresses import Addresses
from dlagent_local.paths import ClusterPaths
from dlagent_local.plan import (
    Binaries,
    Component,
    components,
    kept,
    kubelet_configuration,
    supervisor_plan,
)

PATHS = ClusterPaths(Path("/home/u/.local/state/dlagent/x"), Path("/home/u/run"))
BINARIES = Binaries(Path("/c/localkube"), Path("/c/bwrap"), Path("/c/envoy"))
ALL = components(PATHS, Addresses(70), BINARIES)
BY_NAME = {component.name: component for component in ALL}


def flag(component: Component, name: str) -> str:
    (value,) = [part for part in component.command if part.startswith(f"--{name}=")]
    return value.partition("=")[2]


def test_every_need_is_a_component_that_comes_before() -> None:
    names = [component.name for component in ALL]

    for position, component in enumerate(ALL):
        assert set(component.needs) <= set(names[:position])


def test_no_component_listens_on_an_address_of_the_network() -> None:
    for component in ALL:
        for part in component.command:
            assert "0.0.0.0" not in part
    assert "127.0.0.1" == flag(BY_NAME["kube-apiserver"], "bind-address")
    assert "127.0.0.1" == kubelet_configuration(PATHS, Addresses(70), 1000)["address"]


def test_etcd_asks_every_client_for_a_certificate() -> None:
    etcd = BY_NAME["etcd"]

    assert "true" == flag(etcd, "client-cert-auth")
    assert "true" == flag(etcd, "peer-client-cert-auth")
    assert flag(etcd, "listen-client-urls").startswith("https://")


def test_pods_and_services_get_the_two_halves_of_the_block() -> None:
    assert "127.70.0.0/17" == flag(BY_NAME["process-runtime"], "addresses")
    assert "127.70.128.0/17" == flag(BY_NAME["kube-apiserver"], "service-cluster-ip-range")


def test_pods_are_told_the_apiserver_that_answers() -> None:
    port = flag(BY_NAME["kube-apiserver"], "secure-port")

    assert f"--set-env=KUBERNETES_SERVICE_PORT={port}" in BY_NAME["process-runtime"].command


def test_two_clusters_share_no_argument_that_is_an_address() -> None:
    other = components(PATHS, Addresses(71), BINARIES)

    for one, two in itertools.pairwise([ALL, other]):
        ports = [{part for c in each for part in c.command if ":1" in part} for each in (one, two)]
        assert not ports[0] & ports[1]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        pytest.param(["/home/u"], [], id="nothing below it is needed"),
        pytest.param(["/var/lib/ci/.cache/dlagent"], ["ci"], id="a home folder is below it"),
        pytest.param(["/var/lib/ci/a", "/var/lib/ci/b"], ["ci"], id="each is kept once"),
        pytest.param(["/var/library"], [], id="a similar name is another folder"),
    ],
)
def test_needed_folders_stay_visible(visible: list[str], expected: list[str]) -> None:
    assert expected == kept("/var/lib", [Path(path) for path in visible])


def test_the_plan_names_everything_the_supervisor_reads() -> None:
    plan = supervisor_plan(PATHS, ALL, "/bin", [])

    assert [component.name for component in ALL] == [each["name"] for each in plan["components"]]
    assert all("/bin" == each["environment"]["PATH"] for each in plan["components"])
    assert {"/var/lib": [], "/var/log": []} == plan["hidden_folders"]
