"""What the tests of admission share: an agent as YAML has it, and what the apiserver says of it."""

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import Json, Kubectl, KubectlError, eventually

CRD = Path(__file__).parents[2] / "crds/dlagents.yaml"
SMALLEST: Json = {
    "model": {"source": {"uri": "pvc://models/shoes.onnx"}},
    "slo": {"latency": {"thresholdMilliseconds": 50}},
}
IMAGE: list[Json] = [{"name": "image", "dataType": "UINT8", "shape": [28, 28]}]


def agent(name: str, spec: Json) -> Json:
    return {
        "apiVersion": "dlagent.io/v1alpha1",
        "kind": "DLAgent",
        "metadata": {"name": name},
        "spec": spec,
    }


def python(*outputs: Json) -> Json:
    """A Python step."""
    reference = {"name": "steps", "key": "step.py"}
    return {"python": {"configMapRef": reference, "outputs": list(outputs)}}


def source(**fields: Any) -> Json:
    return {"model": {"source": fields}}


@contextmanager
def namespace_of_its_own(kubeconfig: Path) -> Iterator[Kubectl]:
    """kubectl in a fresh namespace of an apiserver that knows the resource."""
    binary = Path(sys.executable).with_name("kubectl")
    namespace = f"admission-{uuid.uuid4().hex[:6]}"  # each worker its own
    kubectl = Kubectl(str(binary), kubeconfig, namespace)
    if "dlagents.dlagent.io" not in kubectl("get", "crds", "-o", "name"):
        kubectl("apply", "--server-side", "-f", str(CRD))
    kubectl("wait", "--for=condition=Established", "crd/dlagents.dlagent.io")
    kubectl("create", "namespace", namespace)
    # kubectl finds a new resource only once discovery has it.
    eventually(lambda: kubectl("get", "dlagents") is not None, what="the apiserver serves dlagents")
    yield kubectl
    kubectl("delete", "namespace", namespace, "--wait=false")


def refusal(kubectl: Kubectl, manifest: Json) -> str:
    with pytest.raises(KubectlError) as refused:
        kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
    return str(refused.value)
