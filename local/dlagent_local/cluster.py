"""One local cluster: the command line, the demo and the tests start and stop it by this class."""

from __future__ import annotations

import compileall
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlagent_local import control, deploy, pki, tools
from dlagent_local.addresses import Addresses, claim
from dlagent_local.cache import locked
from dlagent_local.control import ComponentStatus
from dlagent_local.images import Python, images
from dlagent_local.kube import Kube, wait_for
from dlagent_local.paths import REPOSITORY, ClusterPaths, cache_folder
from dlagent_local.plan import (
    NODE,
    PAYLOAD_GRACE_SECONDS,
    Binaries,
    components,
    kubelet_configuration,
    supervisor_plan,
)
from dlagent_local.process import Process, children
from dlagent_local.progress import Progress, Silent
from dlagent_local.recipes import Installed, install

_START_SECONDS = 60.0
_COMPONENT_SECONDS = 60.0
_CLIENTS = ("kube-controller-manager", "kube-scheduler", "kubelet")


class NotRunningError(RuntimeError):
    """The cluster is not up."""


@dataclass(frozen=True)
class Status:
    """What `dlagent local status` shows."""

    name: str
    running: bool
    kubeconfig: Path
    components: list[ComponentStatus]
    supervisor_memory_bytes: int

    @property
    def memory_bytes(self) -> int:
        """Of the control plane, the runtime and the supervisor; pods are not in it."""
        parts = sum(component.memory_bytes for component in self.components)
        return parts + self.supervisor_memory_bytes


class Cluster:
    """A cluster by its name. An object may be made whether or not the cluster is up."""

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self._paths = ClusterPaths.of(name)
        self._parent: subprocess.Popen[bytes] | None = None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, there while the cluster is up."""
        return self._paths.kubeconfig

    @property
    def running(self) -> bool:
        return self._supervisor() is not None

    def up(self, progress: Progress | None = None, operator: bool = True) -> None:
        """Bring everything up that is not; returns when it is ready to be used.

        Raises BuildError, MissingToolError, NoFreeBlockError, TimeoutError.
        """
        progress = progress or Silent()
        installed = install(progress)
        with self._locked():
            if not self.running:
                self._bring_up(installed, progress)
        deploy.node_rights(self.kube())
        deploy.monitoring(self.kube(), progress)
        if operator:
            prometheus_url = self.service_url("monitoring", "prometheus")
            values = deploy.operator_values(prometheus_url)
            deploy.operator(self.kube(), self.kubeconfig, values, progress)

    def down(self) -> bool:
        """Stop everything and remove all state; whether it was running."""
        with self._locked():
            was_running = self.running
            self._clear()
        return was_running

    def status(self) -> Status:
        if not self.running:
            return Status(self.name, False, self.kubeconfig, [], 0)
        components, memory = control.status_and_memory(self._paths.control)
        return Status(self.name, True, self.kubeconfig, components, memory)

    def kube(self) -> Kube:
        return Kube(self._addresses().port("kube-apiserver"), self._paths.pki)

    def service_url(self, namespace: str, name: str, port: str | None = None) -> str:
        """The URL of a Service as this machine reaches it, through Envoy.

        `port` is a port's name; the first is taken when it is left out. Raises ApiError when there
        is no such Service.
        """
        service = self.kube().get(f"/api/v1/namespaces/{namespace}/services/{name}")
        ports = service["spec"]["ports"]
        chosen = next((each for each in ports if each.get("name") == port), ports[0])
        return f"http://{service['spec']['clusterIP']}:{chosen['port']}"

    def volume_path(self, namespace: str, claim_name: str, seconds: float = 30.0) -> Path:
        """The folder of a claim's volume, as seen from outside the cluster's mount namespace.

        Waits until the claim is bound; TimeoutError when it is not within `seconds`.
        """
        kube = self.kube()
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim_name}"

        def bound() -> bool:
            phase: object = (kube.find(path) or {}).get("status", {}).get("phase")
            return phase == "Bound"

        wait_for(f"binding of claim {namespace}/{claim_name}", bound, seconds)
        volume = kube.get(f"/api/v1/persistentvolumes/{kube.get(path)['spec']['volumeName']}")
        source = volume["spec"].get("hostPath") or volume["spec"]["local"]
        return Path(f"/proc/{self._running_supervisor().pid}/root{source['path']}")

    def start(self, component: str) -> None:
        """Start a component that was stopped, and wait until it serves."""
        self._act("start", component)
        self._wait_for_component(component, lambda now: now.state == "ready")

    def stop(self, component: str) -> None:
        """Stop a component by SIGTERM, and wait until it has ended. It stays down."""
        self._act("stop", component)
        self._wait_for_component(component, lambda now: now.state == "stopped")

    def restart(self, component: str) -> None:
        """End a component by SIGTERM, and wait until its successor serves."""
        self._replace("restart", component)

    def kill(self, component: str) -> None:
        """End a component by SIGKILL, and wait until its successor serves."""
        self._replace("kill", component)

    def log_file(self, component: str) -> Path:
        return self._paths.logs / f"{component}.log"

    def _replace(self, verb: str, component: str) -> None:
        before = self._act(verb, component).restarts
        self._wait_for_component(
            component, lambda now: now.restarts > before and now.state == "ready"
        )

    def _act(self, verb: str, component: str) -> ComponentStatus:
        self._running_supervisor()
        return control.act(self._paths.control, verb, component)

    def _wait_for_component(self, name: str, condition: Callable[[ComponentStatus], bool]) -> None:
        def holds() -> bool:
            states = control.status(self._paths.control)
            return condition(next(state for state in states if state.name == name))

        wait_for(f"the change of {name}", holds, _COMPONENT_SECONDS)

    def _supervisor(self) -> Process | None:
        process = Process.read(self._paths.pid_file)
        return process if process is not None and process.alive() else None

    def _running_supervisor(self) -> Process:
        supervisor = self._supervisor()
        if supervisor is None:
            raise NotRunningError(
                f"cluster {self.name!r} is not up: `dlagent local up --name {self.name}`"
            )
        return supervisor

    def _addresses(self) -> Addresses:
        self._running_supervisor()
        plan = json.loads(self._paths.plan.read_text())
        return Addresses(int(plan["block"]))

    def _bring_up(self, installed: Installed, progress: Progress) -> None:
        self._clear()  # what a killed supervisor left
        progress.begin("cluster", "starting the control plane")
        try:
            self._start(installed)
            self._wait_until_ready()
        except KeyboardInterrupt:
            self._clear()
            raise
        except BaseException:
            self._stop_supervisor()  # the logs stay
            raise
        progress.end("cluster")

    def _clear(self) -> None:
        self._stop_supervisor()
        for folder in (self._paths.run, self._paths.state):
            _remove(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` at a time for a name; the second waits."""
        cache_folder().mkdir(mode=0o755, parents=True, exist_ok=True)
        with locked(cache_folder() / f".cluster-{self.name}.lock"):
            yield

    def _start(self, installed: Installed) -> None:
        self._paths.state.mkdir(mode=0o700, parents=True)
        self._paths.run.mkdir(mode=0o700)
        self._paths.logs.mkdir()
        addresses, held = claim()
        with held:
            self._write_files(addresses, installed)
            log = self._paths.logs / "supervisor.log"
            command: list[str | Path] = [tools.unshare(), *_namespaces(os.geteuid())]
            command += [os.path.realpath(sys.executable), "-I", "-S"]
            command += [Path(__file__).with_name("supervisor.py"), self._paths.plan]
            with log.open("ab") as output:
                parent = subprocess.Popen(
                    command,
                    cwd="/",
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=[held.fileno()],
                )
            self._parent = parent
            self._find_supervisor(parent).write(self._paths.pid_file)
            # It starts nothing before this, so that none runs which `down` cannot find.
            if parent.stdin is not None:
                parent.stdin.write(b"g")
                parent.stdin.close()

    def _find_supervisor(self, parent: subprocess.Popen[bytes]) -> Process:
        """The only child of `unshare`, which is PID 1 of its namespace."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and parent.poll() is None:
            for pid in children(parent.pid):
                process = Process.of(pid)
                if process is not None:
                    return process
            time.sleep(0.005)
        log = self._paths.logs / "supervisor.log"
        raise NotRunningError(
            f"the supervisor did not start: {log.read_text().strip()}; see `dlagent local doctor`"
        )

    def _write_files(self, addresses: Addresses, installed: Installed) -> None:
        paths = self._paths
        pki.write_all(paths.pki, addresses.kubernetes_service)
        server = f"https://127.0.0.1:{addresses.port('kube-apiserver')}"
        context = f"dlagent-{self.name}"
        for user in _CLIENTS:
            pki.write_kubeconfig(paths.pki / f"{user}.kubeconfig", paths.pki, user, server, context)
        pki.write_kubeconfig(paths.kubeconfig, paths.pki, "admin", server, context)
        open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        kubelet = kubelet_configuration(paths, addresses, open_files)
        (paths.state / "kubelet.json").write_text(json.dumps(kubelet, indent=1))
        python = Python.running()
        # Containers see the sources read-only and would compile them at each start.
        compileall.compile_dir(REPOSITORY / "operator", quiet=2)
        content = images(python, REPOSITORY / "operator", installed.triton, installed.prometheus)
        paths.images.write_text(json.dumps(content, indent=1))
        for folder in ("etcd", "runtime", "kubelet", "pod-logs", "volumes", "envoy"):
            (paths.state / folder).mkdir(mode=0o700)
        binaries = Binaries(installed.localkube, tools.bwrap(), tools.envoy())
        visible = [paths.state, paths.run, cache_folder(), REPOSITORY, python.prefix, python.base]
        plan = supervisor_plan(
            paths,
            components(paths, addresses, binaries),
            os.environ.get("PATH", os.defpath),
            visible,
        )
        paths.plan.write_text(json.dumps(plan | {"block": addresses.block}, indent=1))

    def _wait_until_ready(self) -> None:
        kube = self.kube()

        def alive_and(condition: Callable[[], bool]) -> Callable[[], bool]:
            def check() -> bool:
                self._running_supervisor()
                return condition()

            return check

        def node_ready() -> bool:
            conditions = kube.get(f"/api/v1/nodes/{NODE}")["status"].get("conditions", [])
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        def account_made() -> bool:
            # Pods are refused before the controller-manager has made it.
            return kube.find("/api/v1/namespaces/default/serviceaccounts/default") is not None

        wait_for("readiness of the node", alive_and(node_ready), _START_SECONDS)
        wait_for("the first service account", alive_and(account_made), _START_SECONDS)

    def _stop_supervisor(self) -> None:
        supervisor = self._supervisor()
        if supervisor is None:
            return
        supervisor.send(signal.SIGTERM)
        if not supervisor.wait(PAYLOAD_GRACE_SECONDS + 5.0):
            supervisor.send(signal.SIGKILL)
            supervisor.wait(30.0)
        if self._parent is not None:
            self._parent.wait()
            self._parent = None


def _namespaces(user: int) -> list[str]:
    """Options of unshare(1). Root needs no user namespace, and keeps its rights without one."""
    own_user = [] if user == 0 else ["--user", "--map-root-user"]
    return [*own_user, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _remove(folder: Path) -> None:
    """Remove a folder with what is in it, also where a container took away the right to write."""

    def retry(function: Callable[[str], object], path: str, error: BaseException) -> None:
        if not isinstance(error, PermissionError):
            raise error
        entry = Path(path)
        entry.parent.chmod(0o700)
        if entry.is_dir() and not entry.is_symlink():
            entry.chmod(0o700)
        function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=lambda function, path, info: retry(function, path, info[1]))
