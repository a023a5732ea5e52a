"""What the cluster tests share: kubectl, waiting on conditions, and agents as a user handles them.

Nothing here sleeps for a fixed time: `eventually` polls until a condition holds or a generous
deadline passes, and says what it saw last.
"""

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

DEADLINE_SECONDS = 120.0
Json = dict[str, Any]
T = TypeVar("T")


class KubectlError(RuntimeError):
    """kubectl answered with an error; the message is what it printed."""


def eventually(
    probe: Callable[[], T],
    holds: Callable[[T], bool] = bool,
    within_seconds: float = DEADLINE_SECONDS,
    what: str = "the condition",
) -> T:
    """Poll `probe` until `holds`. Errors that mean "not yet" are polled through as well."""
    deadline = time.monotonic() + within_seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            value = probe()
        except (KubectlError, OSError, KeyError, IndexError, http.client.HTTPException) as error:
            seen = error
        else:
            if holds(value):
                return value
            seen = value
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {within_seconds:.0f} s; last seen: {seen!r}")


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig, for one namespace."""

    binary: str
    kubeconfig: Path
    namespace: str

    def __call__(self, *args: str, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """Run it and return what it printed.

        Raises:
            KubectlError: it failed; the text is its standard error.
        """
        done = subprocess.run(
            [self.binary, "-n", self.namespace, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def json(self, *args: str) -> Json:
        result: Json = json.loads(self(*args, "-o", "json"))
        return result

    def items(self, *args: str) -> list[Json]:
        items: list[Json] = self.json("get", *args)["items"]
        return items

    def apply(self, *objects: Json) -> str:
        return self("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))


def merged(base: Json, changes: Json) -> Json:
    """`changes` over `base`, object by object; None removes a field."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


@dataclass(frozen=True)
class Agent:
    """One DLAgent under test, seen through kubectl and its URL."""

    kubectl: Kubectl
    name: str
    url_of: Callable[[str, str], str] = field(repr=False)

    def apply(self, spec: Json, annotations: Json | None = None) -> None:
        metadata: Json = {"name": self.name}
        if annotations:
            metadata["annotations"] = annotations
        self.kubectl.apply(
            {
                "apiVersion": "dlagent.io/v1alpha1",
                "kind": "DLAgent",
                "metadata": metadata,
                "spec": spec,
            }
        )

    def get(self) -> Json:
        return self.kubectl.json("get", "dlagent", self.name)

    def condition(self, type_: str) -> Json:
        """The condition; an empty one where the operator has not judged this generation yet."""
        agent = self.get()
        if agent.get("status", {}).get("observedGeneration") != agent["metadata"]["generation"]:
            return {}
        conditions = {c["type"]: c for c in agent["status"]["conditions"]}
        found: Json = conditions.get(type_, {})
        return found

    def wait_for(
        self,
        type_: str,
        status: str,
        reason: str | None = None,
        within_seconds: float = DEADLINE_SECONDS,
    ) -> Json:
        return eventually(
            lambda: self.condition(type_),
            lambda c: c.get("status") == status and reason in (None, c.get("reason")),
            within_seconds,
            what=f"{self.name}: condition {type_} {status} {reason or ''}",
        )

    def wait_ready(self, within_seconds: float = DEADLINE_SECONDS) -> Json:
        self.wait_for("Ready", "True", within_seconds=within_seconds)
        return self.get()

    def url(self) -> str:
        return self.url_of(self.kubectl.namespace, self.name)

    def infer(self, rows: list[list[float]], input_name: str = "x") -> Json:
        """The outputs by name for one request, each a flat list."""
        body = infer_body(rows, input_name)
        answer = post(self.url(), f"/v2/models/{self.name}/infer", body)
        return {output["name"]: output["data"] for output in answer["outputs"]}

    def serving_pods(self) -> list[Json]:
        selector = f"dlagent.io/name={self.name},app.kubernetes.io/component=serving"
        return self.kubectl.items("pods", "-l", selector)


def infer_body(rows: list[list[float]], input_name: str = "x") -> Json:
    flat = [value for row in rows for value in row]
    tensor = {
        "name": input_name,
        "datatype": "FP32",
        "shape": [len(rows), len(rows[0])],
        "data": flat,
    }
    return {"inputs": [tensor]}


def post(url: str, path: str, body: Json, timeout_seconds: float = 10) -> Json:
    """One request on a connection of its own.

    Raises:
        OSError, http.client.HTTPException: no answer, or one that is not 200.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=timeout_seconds
    )
    try:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise OSError(f"HTTP {response.status}: {text[:300]!r}")
        answer: Json = json.loads(text)
        return answer
    finally:
        connection.close()


@dataclass
class Load:
    """What a steady load saw: every request is counted, none is tried again."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def steady_load(agent: Agent, rows: list[list[float]], per_second: float = 40) -> Iterator[Load]:
    """Requests at scheduled times, each on a new connection, while the block runs."""
    load, stop, url = Load(), threading.Event(), agent.url()
    path, body = f"/v2/models/{agent.name}/infer", infer_body(rows)

    def run() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due += 1 / per_second
            try:
                post(url, path, body)
                load.answered += 1
            except (OSError, http.client.HTTPException) as error:
                load.failures.append(f"{time.strftime('%X')} {error!r}")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield load
    finally:
        stop.set()
        thread.join()
