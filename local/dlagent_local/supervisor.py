"""The process above all others of a local cluster: PID 1 of a pid namespace of its own.

`cluster.py` runs this file as a script, with the path of a plan as its only argument. It uses the
standard library alone, and little of it, since it stays in memory as long as the cluster.

When it ends, whatever the reason, the kernel kills every process of the namespace and unmounts
what was mounted in it. That is why nothing outlives `dlagent local down`.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

_TICK = 0.05  # seconds between two looks while something is starting
_REST = 5.0  # the same when nothing is
_STEADY = 30.0  # a component that ran this long starts its back-off anew
_LONGEST_BACK_OFF = 10.0
_TERM_GRACE = 3.0  # a kube-apiserver with open watches takes a minute to end by itself
_MS_BIND, _MS_REC = 4096, 16384


@dataclasses.dataclass
class Component:
    """One entry of the plan, and what became of it."""

    name: str
    command: list[str]
    log: str
    environment: dict[str, str]
    needs: list[str]
    ready_kind: str
    ready_target: str
    wanted: bool = True
    ready: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    back_off: float = 0.0
    restarts: int = 0
    kill_at: float | None = None

    def state(self) -> str:
        if not self.wanted:
            return "stopped" if self.process is None else "stopping"
        if self.process is None:
            return "failed" if self.restarts else "waiting"
        return "ready" if self.ready else "starting"


class Supervisor:
    """Starts the components in the order of their needs and keeps them running."""

    def __init__(self, plan: dict[str, Any], control: socket.socket) -> None:
        self._components = {entry["name"]: Component(**entry) for entry in plan["components"]}
        self._payload_grace = float(plan["grace_seconds"])
        self._spared = set(plan["spared_commands"])
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        wake_up = _signals(self._stop)
        self._selector.register(wake_up, selectors.EVENT_READ)
        while not self._stopping:
            self._reap()
            unsettled = self._advance()
            for key, _ in self._selector.select(_TICK if unsettled else _REST):
                if key.fileobj is self._control:
                    self._answer()
                else:
                    wake_up.recv(4096)
        self._shut_down()

    def _stop(self) -> None:
        self._stopping = True

    def _advance(self) -> bool:
        """Start and check what is due; whether anything is not settled yet."""
        unsettled = False
        for component in self._components.values():
            unsettled = unsettled or component.kill_at is not None
            if component.kill_at is not None and time.monotonic() >= component.kill_at:
                component.kill_at = None
                _send(component.process, signal.SIGKILL)
            if not component.wanted:
                continue
            if component.process is None and self._may_start(component):
                self._start(component)
            if component.process is not None and not component.ready:
                component.ready = _is_ready(component.ready_kind, component.ready_target)
            unsettled = unsettled or not component.ready
        return unsettled

    def _may_start(self, component: Component) -> bool:
        needs = all(self._components[name].ready for name in component.needs)
        # Only the first start waits for others: all of them cope with an absence later on.
        return (needs or component.restarts > 0) and time.monotonic() >= component.start_after

    def _start(self, component: Component) -> None:
        with Path(component.log).open("ab") as log:
            component.process = subprocess.Popen(
                component.command,
                env=component.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        component.ready = False
        component.started_at = time.monotonic()

    def _reap(self) -> None:
        """Collect ended processes, those included that containers left to PID 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for component in self._components.values():
                if component.process is not None and component.process.pid == pid:
                    component.process.returncode = os.waitstatus_to_exitcode(status)
                    self._ended(component, component.process.returncode)

    def _ended(self, component: Component, code: int) -> None:
        ran = time.monotonic() - component.started_at
        component.back_off = (
            0.1 if ran > _STEADY else min(max(component.back_off * 2, 0.1), _LONGEST_BACK_OFF)
        )
        component.start_after = time.monotonic() + component.back_off
        component.process = None
        component.kill_at = None
        component.ready = False
        component.restarts += 1
        _say(f"{component.name} ended with {code} after {ran:.1f} s")

    def _answer(self) -> None:
        """Serve one request on the control socket: a line of JSON, answered by one."""
        connection, _ = self._control.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            try:
                request = json.loads(connection.makefile().readline())
                reply = self._do(request["do"], request.get("component"))
            except (ValueError, KeyError, TypeError) as error:
                reply = {"error": f"bad request: {error!r}"}
            connection.sendall(json.dumps(reply).encode() + b"\n")

    def _do(self, verb: str, name: str | None) -> dict[str, Any]:
        if verb == "status":
            states = [self._describe(each) for each in self._components.values()]
            return {"components": states, "own_memory_bytes": _memory(os.getpid())}
        component = self._components.get(name or "")
        if component is None:
            return {"error": f"known are {', '.join(self._components)}"}
        if verb == "start":
            component.wanted, component.start_after, component.back_off = True, 0.0, 0.0
        elif verb == "stop":
            component.wanted = False
            _terminate(component)
        elif verb == "restart":
            component.wanted = True
            _terminate(component)
        elif verb == "kill":
            _send(component.process, signal.SIGKILL)
        else:
            return {"error": f"unknown verb {verb!r}"}
        return self._describe(component)

    def _describe(self, component: Component) -> dict[str, Any]:
        return {
            "name": component.name,
            "state": component.state(),
            "restarts": component.restarts,
            "memory_bytes": _memory(component.process.pid) if component.process else 0,
        }

    def _shut_down(self) -> None:
        """Give the pods' processes their time to end; the kernel ends the rest with this one."""
        kubelet = self._components.get("kubelet")
        if kubelet is not None:
            _send(kubelet.process, signal.SIGKILL)  # or it starts anew what ends now
        deadline = time.monotonic() + self._payload_grace
        for pid in self._payloads():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        while self._payloads() and time.monotonic() < deadline:
            self._reap()
            time.sleep(_TICK)

    def _payloads(self) -> list[int]:
        """The processes that run in containers: neither a component nor a container's keeper."""
        known = {1} | {each.process.pid for each in self._components.values() if each.process}
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in known:
                with contextlib.suppress(OSError):
                    # Kernel threads and zombies have no executable.
                    if (entry / "exe").readlink().name not in self._spared:
                        found.append(int(entry.name))
        return found


def _signals(stop: Any) -> socket.socket:
    """Route signals to a socket that the main loop waits on."""
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    _signals_sender.append(sender)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    return receiver


_signals_sender: list[socket.socket] = []  # keeps the socket open as long as the process


def _is_ready(kind: str, target: str) -> bool:
    """Whether a component answers: kind is none, file, unix, tcp or https."""
    try:
        if kind == "file":
            return Path(target).exists()
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(target)
        elif kind == "tcp":
            host, port = target.rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=1.0).close()
        elif kind == "https":
            return _answers_ok(target)
    except OSError:
        return False
    return True


def _answers_ok(target: str) -> bool:
    host, slash, path = target.partition("/")
    # What answers on this port is our own child; only its state is asked, nothing is sent.
    connection = HTTPSConnection(host, timeout=1.0, context=_trusting())
    try:
        connection.request("GET", slash + path)
        return connection.getresponse().status == 200
    except HTTPException:
        return False
    finally:
        connection.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _terminate(component: Component) -> None:
    if component.process is not None:
        component.kill_at = time.monotonic() + _TERM_GRACE
        _send(component.process, signal.SIGTERM)


def _send(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _memory(pid: int) -> int:
    """Its proportional set size: what several share, as the one binary, is counted once."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def hide(folder: str, scratch: str, keep: list[str]) -> None:
    """Cover a folder of the machine with an empty one, for this mount namespace alone.

    Kubelet writes to fixed paths below it. The sub-folders in `keep` stay visible.
    """
    Path(scratch).mkdir()
    _mount("tmpfs", scratch, "tmpfs", 0)
    for name in keep:
        Path(scratch, name).mkdir()
        _mount(f"{folder}/{name}", f"{scratch}/{name}", "", _MS_BIND | _MS_REC)
    _mount(scratch, folder, "", _MS_BIND | _MS_REC)


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (source.encode(), target.encode(), kind.encode(), flags, None)
    if libc.mount(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount on {target}: {os.strerror(number)}")


def _say(message: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), message, flush=True)


def main(plan_file: str) -> None:
    """Read the plan, cover folders, listen for requests, supervise."""
    if not sys.stdin.buffer.read(1):
        return  # the launcher died before it noted whom to stop
    plan = json.loads(Path(plan_file).read_text())
    for number, (folder, keep) in enumerate(sorted(plan["hidden_folders"].items())):
        hide(folder, f"{plan['scratch']}/hidden-{number}", keep)
    control = socket.socket(socket.AF_UNIX)
    control.bind(plan["control"])
    control.listen(16)
    Supervisor(plan, control).run()


if __name__ == "__main__":
    main(sys.argv[1])
