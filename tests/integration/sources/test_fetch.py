"""Stage 1 on a source that can fail: digests, the cache of downloads, and a build of what came."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from onnx import TensorProto, helper

from dlagent.adapters.store import FolderStore
from dlagent.build.failure import BuildError
from dlagent.build.fetch import fetch_file
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.cache import Downloads
from dlagent.domain.artifact.request import BuildRequest

CONTENT = b"a model" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def serve(web: Any, content: bytes) -> str:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    web.answers["/net.onnx"] = answer
    return f"{web.url}/net.onnx"


class Workplace:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch"
        self.scratch.mkdir()
        self.kept = root / "store/downloads"

    def fetch(self, uri: str, sha256: str) -> bytes:
        access = Access(self.root, self.root / "credentials", ("localhost",))
        copy = self.scratch / "copy"
        copied = fetch_file(
            Wanted(uri, sha256, 10**6), access, copy, Downloads(self.root / "store", 10**6)
        )
        content = copy.read_bytes()
        assert hashlib.sha256(content).hexdigest() == copied.sha256
        assert len(content) == copied.size_bytes
        return content


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_what_was_downloaded_once_is_not_downloaded_again(web: Any, workplace: Workplace) -> None:
    uri = serve(web, CONTENT)

    assert CONTENT == workplace.fetch(uri, DIGEST)
    assert CONTENT == workplace.fetch(uri, DIGEST.upper())
    assert 1 == len(web.requests)


def test_a_damaged_download_is_made_again(web: Any, workplace: Workplace) -> None:
    uri = serve(web, CONTENT)
    workplace.fetch(uri, DIGEST)
    (workplace.kept / DIGEST).write_bytes(CONTENT[:-1])

    assert CONTENT == workplace.fetch(uri, DIGEST)
    assert 2 == len(web.requests)
    assert CONTENT == (workplace.kept / DIGEST).read_bytes()


def test_another_digest_than_asked_for_is_refused_and_not_kept(
    web: Any, workplace: Workplace
) -> None:
    uri = serve(web, CONTENT + b"!")

    with pytest.raises(BuildError) as refusal:
        workplace.fetch(uri, DIGEST)
    assert "DigestMismatch" == refusal.value.reason
    assert not workplace.kept.exists()


def small_model() -> bytes:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    add = helper.make_node("Add", ["x", "x"], ["y"])
    graph = helper.make_graph([add], "test", tensors[:1], tensors[1:])
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def test_a_model_from_a_web_server_is_built_and_kept(web: Any, workplace: Workplace) -> None:
    data = small_model()
    request = BuildRequest.model_validate(
        {
            "sourceUri": serve(web, data),
            "sourceSha256": hashlib.sha256(data).hexdigest(),
            "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
            "maxSourceBytes": 10**6,
            "allowedHosts": ["localhost"],
            "downloadCacheBytes": 10**6,
        }
    )
    store = workplace.root / "store"
    places = Places(
        workplace.root, FolderStore(store), workplace.scratch, workplace.root, downloads=store
    )

    summary = build(request, places, Progress(show=lambda _stage, _message: None))

    assert "Published" == summary.outcome, summary.message
    assert data == (workplace.kept / str(summary.source_sha256)).read_bytes()
    report = (store / f"artifacts/{summary.key}/report.json").read_text()
    assert "allowedHosts" not in report  # where else it could be had from is nobody's business


def test_the_command_line_builds_from_a_web_server(web: Any, workplace: Workplace) -> None:
    data = small_model()
    source = {"uri": serve(web, data), "sha256": hashlib.sha256(data).hexdigest()}
    spec = {"model": {"source": source}, "slo": {"latency": {"thresholdMilliseconds": 50}}}
    agent = workplace.root / "agent.yaml"
    kind = {"apiVersion": "dlagent.io/v1alpha1", "kind": "DLAgent"}
    agent.write_text(yaml.safe_dump({**kind, "spec": spec}))
    out = workplace.root / "model_repo"

    done = subprocess.run(
        [sys.executable, "-m", "dlagent.cli.main", "build", "-f", str(agent), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert (out / "model/1/model.onnx").exists()
