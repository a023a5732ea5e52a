"""The way through the apiserver carries the credentials of the kubeconfig."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import urllib3
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes import client

from dlagent.bench.sender import Limits, Post, Sender
from dlagent.cli import endpoints
from dlagent.cli.agent_client import Endpoint
from dlagent.cli.endpoints import (
    find_endpoint,
    find_promise,
    proxy_url,
    server_hostname,
    tls_context,
)
from dlagent.cli.errors import CliError
from dlagent_local.pki import Authority, Identity

HOST = "https://127.0.0.1:9"
AGENT = {
    "spec": {"slo": {"latency": {"thresholdMilliseconds": 50, "objectivePercent": "99.9"}}},
    "status": {"conditions": [{"type": "Available", "status": "True"}]},
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cluster with an agent whose Service this machine does not reach."""
    api = client.ApiClient(client.Configuration(host=HOST))
    monkeypatch.setattr(endpoints, "find_cluster", lambda *_: (api, "vision"))
    monkeypatch.setattr(endpoints, "_service_address", lambda *_: None)
    monkeypatch.setattr(
        client.CustomObjectsApi, "get_namespaced_custom_object", lambda *_, **__: AGENT
    )
    return api


def test_a_token_is_passed_on(api: Any) -> None:
    api.configuration.api_key["authorization"] = "Bearer secret"
    found = find_endpoint("shoes", None, None, None)
    assert f"{HOST}/api/v1/namespaces/vision/services/shoes:8000/proxy" == found.base
    assert {"authorization": "Bearer secret"} == found.headers


def test_a_client_certificate_stays_with_the_connection(api: Any) -> None:
    found = find_endpoint("shoes", "other", None, None)
    assert {} == found.headers
    assert api.rest_client.pool_manager is found.pool


def test_the_promise_is_the_agents_own(api: Any) -> None:
    found = find_promise("shoes", None, None)
    assert (50, "99.9") == (found.threshold_milliseconds, str(found.objective_percent))


@pytest.mark.parametrize(
    ("trust", "expected"),
    [
        pytest.param({"ca_certs": "ca.crt"}, {}, id="the kubeconfig's authority"),
        pytest.param({}, {"cannot connect": 1}, id="an authority that nobody knows"),
        pytest.param({"cert_reqs": ssl.CERT_NONE}, {}, id="the kubeconfig checks nothing"),
    ],
)
async def test_a_load_shows_and_checks_certificates_as_the_kubeconfig_says(
    tmp_path: Path, trust: dict[str, Any], expected: dict[str, int]
) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", Identity("server", hosts=("127.0.0.1",)))
    authority.issue("user", Identity("user"))
    demands = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    demands.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    demands.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_post("/infer", _ok)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=demands)
    given = {"cert_file": "user.crt", "key_file": "user.key", **trust}
    files: dict[str, Any] = {
        k: str(tmp_path / v) if isinstance(v, str) else v for k, v in given.items()
    }
    endpoint = Endpoint(f"https://127.0.0.1:{server.port}", urllib3.PoolManager(**files))
    sender = Sender(Post(f"{endpoint.base}/infer", b"", {}, tls_context(endpoint)), Limits())
    await sender.send([0.0])
    await server.close()
    assert expected == sender.journal.failures()


async def _ok(_request: web.Request) -> web.Response:
    return web.Response()


def test_the_name_of_the_server_and_a_proxy_go_with_the_load() -> None:
    pool = urllib3.ProxyManager("http://10.0.0.1:3128", server_hostname="kubernetes")
    endpoint = Endpoint("https://10.0.0.7", pool)
    assert "kubernetes" == server_hostname(endpoint)
    assert "http://10.0.0.1:3128" == proxy_url(endpoint)


def test_without_either_there_is_neither() -> None:
    endpoint = Endpoint("https://10.0.0.7", urllib3.PoolManager())
    assert (None, None) == (server_hostname(endpoint), proxy_url(endpoint))


def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config"
    with pytest.raises(CliError) as error:
        find_promise("shoes", None, file)
    advice = "Give --kubeconfig, or start one: dlagent local up"
    assert f"no cluster: {file}: no such file. {advice}" == str(error.value)


def test_where_an_address_would_do_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="Give --kubeconfig or --url, or start one"):
        find_endpoint("shoes", None, None, tmp_path / "config")


def test_without_tls_there_is_nothing_to_check() -> None:
    assert tls_context(Endpoint("http://10.0.0.7:8000", urllib3.PoolManager())) is None
