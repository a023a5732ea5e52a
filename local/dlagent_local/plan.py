"""Which components a cluster has, with which flags, and what each waits for.

Pure: the result is what `supervisor.py` reads. A flag of a component is changed here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlagent_local.addresses import Addresses
from dlagent_local.paths import ClusterPaths

NODE = "localhost"
PAYLOAD_GRACE_SECONDS = 5.0
# Executables that the supervisor does not take for a container's own program.
SPARED_COMMANDS = ["bwrap", "localkube", "nsenter"]
# Kubelet writes to fixed paths below these; the machine's own stay as they are.
HIDDEN_FOLDERS = ("/var/lib", "/var/log")
# Loopback addresses are refused in EndpointSlices; Envoy follows the pods instead.
_CONTROLLERS = (
    "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller,"
    "-node-ipam-controller,-device-taint-eviction-controller,-resourceclaim-controller"
)
# Collect garbage early: little of this memory is ever live. The whole has to fit in 1 GiB.
_SMALL_HEAP = {"GOGC": "50"}


@dataclass(frozen=True)
class Binaries:
    localkube: Path
    bwrap: Path
    envoy: Path


@dataclass(frozen=True)
class Ready:
    """How to see that a component serves: `kind` is none, file, unix, tcp or https."""

    kind: str = "none"
    target: str = ""


@dataclass(frozen=True)
class Component:
    name: str
    command: list[str]
    ready: Ready = Ready()
    needs: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def supervisor_plan(
    paths: ClusterPaths, components: Iterable[Component], path_variable: str, visible: list[Path]
) -> dict[str, Any]:
    """The plan as JSON. `visible` are folders that must be seen although a parent is hidden."""
    entries = []
    for component in components:
        base = {"PATH": path_variable, "HOME": str(paths.state), "LANG": "C.UTF-8"}
        entries.append(
            {
                "name": component.name,
                "command": component.command,
                "needs": component.needs,
                "ready_kind": component.ready.kind,
                "ready_target": component.ready.target,
                "log": str(paths.logs / f"{component.name}.log"),
                "environment": base | component.environment,
            }
        )
    return {
        "components": entries,
        "control": str(paths.control),
        "scratch": str(paths.run),
        "grace_seconds": PAYLOAD_GRACE_SECONDS,
        "spared_commands": SPARED_COMMANDS,
        "hidden_folders": {folder: kept(folder, visible) for folder in HIDDEN_FOLDERS},
    }


def kept(folder: str, visible: Iterable[Path]) -> list[str]:
    """The names right below `folder` that lead to what must stay visible.

    A home folder may be below /var/lib, as that of many a CI user is.
    """
    inside = [path.relative_to(folder) for path in visible if path.is_relative_to(folder)]
    return sorted({path.parts[0] for path in inside if path.parts})


def components(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> list[Component]:
    """Every component, in the order in which they start."""
    return [
        _etcd(paths, addresses, binaries),
        _apiserver(paths, addresses, binaries),
        _process_runtime(paths, addresses, binaries),
        _controller_manager(paths, addresses, binaries),
        _scheduler(paths, addresses, binaries),
        _kubelet(paths, addresses, binaries),
        _addons(paths, binaries),
        _envoy(paths, binaries),
    ]


def _etcd(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    client = f"https://127.0.0.1:{addresses.port('etcd')}"
    peer = f"https://127.0.0.1:{addresses.port('etcd-peer')}"
    pki = paths.pki
    flags = {
        "data-dir": paths.state / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "cert-file": pki / "etcd.crt",
        "key-file": pki / "etcd.key",
        "trusted-ca-file": pki / "ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": pki / "etcd.crt",
        "peer-key-file": pki / "etcd.key",
        "peer-trusted-ca-file": pki / "ca.crt",
        "peer-client-cert-auth": "true",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    ready = Ready("tcp", f"127.0.0.1:{addresses.port('etcd')}")
    return _component("etcd", binaries, flags, ready)


def _apiserver(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    pki = paths.pki
    port = addresses.port("kube-apiserver")
    flags = {
        "etcd-servers": f"https://127.0.0.1:{addresses.port('etcd')}",
        "etcd-cafile": pki / "ca.crt",
        "etcd-certfile": pki / "etcd.crt",
        "etcd-keyfile": pki / "etcd.key",
        "bind-address": "127.0.0.1",
        "secure-port": port,
        # Nobody uses it, but a loopback address is refused.
        "advertise-address": "10.255.255.1",
        "endpoint-reconciler-type": "none",
        "service-cluster-ip-range": addresses.services,
        "tls-cert-file": pki / "kube-apiserver.crt",
        "tls-private-key-file": pki / "kube-apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": pki / "service-accounts.key",
        "service-account-signing-key-file": pki / "service-accounts.key",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "requestheader-client-ca-file": pki / "ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "kubelet-client-certificate": pki / "kube-apiserver.crt",
        "kubelet-client-key": pki / "kube-apiserver.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-preferred-address-types": "Hostname",
        "allow-privileged": "true",
        "profiling": "false",
    }
    return _component("kube-apiserver", binaries, flags, Ready("https", f"127.0.0.1:{port}/readyz"))


def _process_runtime(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    flags = {
        "socket": paths.runtime_socket,
        "state-dir": paths.state / "runtime",
        "images": paths.images,
        "bwrap": binaries.bwrap,
        "addresses": addresses.pods,
    }
    # What kubelet would set is the address of a Service that nobody serves here.
    service = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": addresses.port("kube-apiserver"),
    }
    component = _component(
        "process-runtime", binaries, flags, Ready("unix", str(paths.runtime_socket))
    )
    extra = [f"--set-env={name}={value}" for name, value in service.items()]
    return dataclasses.replace(component, command=component.command + extra)


def _controller_manager(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    flags = _client_of_apiserver("kube-controller-manager", paths, addresses) | {
        "service-account-private-key-file": paths.pki / "service-accounts.key",
        "root-ca-file": paths.pki / "ca.crt",
        "use-service-account-credentials": "true",
        "controllers": _CONTROLLERS,
        # As often as the operator's own scaler here (values.yaml).
        "horizontal-pod-autoscaler-sync-period": "5s",
        # At the usual 20 a second the controllers' token requests alone take 5 s.
        "kube-api-qps": "300",
        "kube-api-burst": "300",
    }
    return _component("kube-controller-manager", binaries, flags, needs=["kube-apiserver"])


def _scheduler(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    flags = _client_of_apiserver("kube-scheduler", paths, addresses)
    return _component("kube-scheduler", binaries, flags, needs=["kube-apiserver"])


def _client_of_apiserver(name: str, paths: ClusterPaths, addresses: Addresses) -> dict[str, object]:
    kubeconfig = paths.pki / f"{name}.kubeconfig"
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "secure-port": addresses.port(name),
        "tls-cert-file": paths.pki / f"{name}.crt",
        "tls-private-key-file": paths.pki / f"{name}.key",
        "leader-elect": "false",
        "profiling": "false",
    }


def _kubelet(paths: ClusterPaths, addresses: Addresses, binaries: Binaries) -> Component:
    flags = {
        "kubeconfig": paths.pki / "kubelet.kubeconfig",
        "config": paths.state / "kubelet.json",
        "root-dir": paths.state / "kubelet",
        "cert-dir": paths.state / "kubelet/pki",
        "hostname-override": NODE,
    }
    ready = Ready("tcp", f"127.0.0.1:{addresses.port('kubelet')}")
    needs = ["kube-apiserver", "process-runtime"]
    return _component("kubelet", binaries, flags, ready, needs)


def kubelet_configuration(
    paths: ClusterPaths, addresses: Addresses, open_files: int
) -> dict[str, Any]:
    """What has no flag. There are no cgroups to manage here, and no images to collect."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": addresses.port("kubelet"),
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": addresses.port("kubelet-health"),
        "tlsCertFile": str(paths.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(paths.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{paths.runtime_socket}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "featureGates": {"KubeletInUserNamespace": True},
        "podLogsDir": str(paths.state / "pod-logs"),
        "volumePluginDir": str(paths.state / "kubelet/plugins"),
        "resolvConf": "",
        "maxPods": 250,
        "syncFrequency": "10s",
        "fileCheckFrequency": "0s",
        "nodeStatusUpdateFrequency": "5s",
        "oomScoreAdj": 0,
        "maxOpenFiles": open_files,
    }


def _addons(paths: ClusterPaths, binaries: Binaries) -> Component:
    flags = {
        "kubeconfig": paths.kubeconfig,
        "volumes-dir": paths.volumes,
        "envoy-dir": paths.envoy,
    }
    ready = Ready("file", str(paths.envoy / "envoy.json"))
    return _component("addons", binaries, flags, ready, ["kube-apiserver"])


def _envoy(paths: ClusterPaths, binaries: Binaries) -> Component:
    # Hot restart would leave shared memory behind, and needs a number no other Envoy has.
    command = [str(binaries.envoy), "-c", str(paths.envoy / "envoy.json")]
    command += ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    return Component("envoy", command, needs=["addons"])


def _component(
    name: str,
    binaries: Binaries,
    flags: dict[str, Any],
    ready: Ready = Ready(),
    needs: list[str] | None = None,
) -> Component:
    command = [str(binaries.localkube), name]
    command += [f"--{flag}={value}" for flag, value in flags.items()]
    return Component(name, command, ready, needs or [], dict(_SMALL_HEAP))
