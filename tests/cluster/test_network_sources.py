"""A model in an object store: credentials by a Secret that the operator never reads, and that what
reads the model never gets."""

from collections.abc import Iterator

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
from moto.server import ThreadedMotoServer

from harness import Json, eventually
from models import scaling_model, sha256
from rooms import Room
from test_optimise import classifier, dataset, put

ROW = [1.0, 2.0, 3.0, 4.0]
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server with a bucket, on this machine's loopback, which local pods share."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    store = boto3.resource(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=KEYS["AWS_DEFAULT_REGION"],
    )
    bucket = store.Bucket("models")
    bucket.create()
    bucket.put_object(Key="net.onnx", Body=scaling_model(2))
    bucket.put_object(Key="classifier.onnx", Body=classifier())
    yield url
    server.stop()


def secret(endpoint: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "model-store"},
        "stringData": {**KEYS, "AWS_ENDPOINT_URL": endpoint},
    }


def source(**fields: str) -> Json:
    given = {"uri": "s3://models/net.onnx", "secretRef": {"name": "model-store"}, **fields}
    return {"model": {"source": given}}


def test_a_model_in_a_bucket_becomes_a_right_answer(room: Room, endpoint: str) -> None:
    room.kubectl.apply(secret(endpoint))
    agent = room.agent()

    agent.apply(room.spec(**source()))
    status = agent.wait_ready()["status"]

    assert [2.0, 4.0, 6.0, 8.0] == agent.infer([ROW])["y"]
    assert sha256(scaling_model(2)) == status["source"]["resolvedSHA256"]
    policies = {each["metadata"]["name"] for each in room.kubectl.items("networkpolicies")}
    assert {"dlagent-build", "dlagent-build-sources"} <= policies


def test_a_secret_that_is_missing_is_named_and_its_coming_is_enough(
    room: Room, endpoint: str
) -> None:
    agent = room.agent()
    agent.apply(room.spec(**source()))

    condition = agent.wait_for("ArtifactReady", "False", "ContainerConfigError")
    assert "model-store" in condition["message"]

    room.kubectl.apply(secret(endpoint))
    agent.wait_ready()


def test_another_content_than_asked_for_is_refused(room: Room, endpoint: str) -> None:
    room.kubectl.apply(secret(endpoint))
    agent = room.agent()

    agent.apply(room.spec(**source(sha256="0" * 64)))

    condition = agent.wait_for("ArtifactReady", "False", "DigestMismatch")
    assert sha256(scaling_model(2)) in condition["message"]


# Prints the environment of each process of a container, and what of this it finds or can write.
LOOK = """
cat /proc/[0-9]*/environ | tr '\\0' '\\n'
for path in /credentials /artifacts /sources; do test -e $path && echo "found $path"; done
for folder in /fetched /output; do
  touch $folder/mark && rm $folder/mark && echo "wrote $folder"
done
"""


def test_what_reads_the_model_finds_no_credentials_no_source_and_no_store(
    room: Room, endpoint: str
) -> None:
    room.kubectl.apply(secret(endpoint))
    agent = room.agent()
    gate = {"metric": "Accuracy", "maxDropPercent": "2"}
    # The search gives time to look.
    build = {"dataset": put(room, dataset()), "gate": gate}

    agent.apply(room.spec(**source(uri="s3://models/classifier.onnx"), build=build))
    inside = eventually(lambda: look_into(room, "build"), what="a look into the container")

    lines = inside.splitlines()
    assert any(line.startswith("DLAGENT_BUILD_REQUEST=") for line in lines), inside
    assert not any(line.partition("=")[0] in (*KEYS, "AWS_ENDPOINT_URL") for line in lines), inside
    assert ["wrote /output"] == [line for line in lines if line.startswith(("found ", "wrote "))]
    status = agent.wait_ready()["status"]
    assert "Accuracy" == status["artifact"]["metric"]


def look_into(room: Room, container: str) -> str:
    """What LOOK prints in a container of the build's pod, once that runs."""
    pod = room.kubectl.items("pods", "-l", "app.kubernetes.io/component=build")[0]
    name = pod["metadata"]["name"]
    return room.kubectl("exec", name, "-c", container, "--", "sh", "-c", f"{LOOK}true")
