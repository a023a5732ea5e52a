"""What is wrong with a kubeconfig is said with its name, by both clients."""

from pathlib import Path

import pytest
from kubernetes import config as blocking

from dlagent.adapters.api import connect
from dlagent.adapters.kubeconfig import KubeconfigError, kubeconfig_errors, kubeconfig_location


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "{file}: no such file", id="it is not there"),
        pytest.param(b"", "{file}", id="it is empty"),
        pytest.param(b"apiVersion: v1", "Expected key current-context", id="of no cluster"),
        pytest.param(b"hello", "{file} is no kubeconfig", id="text"),
        pytest.param(b"- a", "{file} is no kubeconfig", id="a list"),
        pytest.param(b"clusters: 5", "{file} is no kubeconfig", id="a number for clusters"),
        pytest.param(b"contexts: [5, 5]", "{file} is no kubeconfig", id="contexts without names"),
        pytest.param(b"a: [", "{file} is no kubeconfig", id="no YAML"),
        pytest.param(b"\x89PNG\xff\xfe", "{file} is no kubeconfig", id="a picture"),
    ],
)
async def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_bytes(content)
    expected = said.format(file=file)

    with pytest.raises(KubeconfigError) as of_the_operator:
        await connect(file)
    with (
        pytest.raises(KubeconfigError) as of_the_commands,
        kubeconfig_errors(str(file), blocking.ConfigException),
    ):
        blocking.new_client_from_config(config_file=str(file))  # type: ignore[no-untyped-call]  # untyped there

    assert expected in str(of_the_operator.value)
    assert expected in str(of_the_commands.value)


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=f"{tmp_path}: Is a directory"):
        await connect(tmp_path)


@pytest.mark.parametrize(
    ("given", "environment", "location"),
    [
        pytest.param("a", "b", "a", id="the one given"),
        pytest.param(None, "b:c", "b:c", id="those of the environment"),
        pytest.param(None, "", "/home/me/.kube/config", id="the usual one"),
    ],
)
def test_which_is_read(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: str, location: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", environment)
    monkeypatch.setenv("HOME", "/home/me")

    assert location == kubeconfig_location(None if given is None else Path(given))
