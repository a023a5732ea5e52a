"""Settings: defaults, refusals with the field's path."""

from pathlib import Path

import pytest

from dlagent.runtime.settings import AccessMode, SettingsError, load_settings, parse_settings

SMALLEST = """
builder: {image: "builder:1"}
runtimes:
  triton: {image: "triton:1", target: {tritonVersion: "24.10"}}
"""


def test_the_smallest_settings_have_safe_defaults() -> None:
    settings = parse_settings(SMALLEST)
    assert settings.builder.allowed_schemes == ["pvc"]
    assert settings.runtimes["triton"].target.accelerator == "cpu"
    assert settings.runtimes["triton"].target.simulated is None
    assert settings.artifacts.access_modes == [AccessMode.READ_WRITE_MANY]
    assert settings.resync_seconds == 600
    assert settings.watch.namespaces == []


@pytest.mark.parametrize("url", ["s3://models/artifacts", "gs://models", "az://models/a/b"])
def test_an_object_store_of_each_service_is_taken(url: str) -> None:
    assert url == parse_settings(SMALLEST + f"artifacts: {{url: '{url}'}}").artifacts.url


@pytest.mark.parametrize("size", ["20Gi", "1.5Ti", "20000000000", "2e10"])
def test_a_size_is_any_quantity_of_kubernetes(size: str) -> None:
    assert size == parse_settings(SMALLEST + f"artifacts: {{size: {size}}}").artifacts.size


@pytest.mark.parametrize("url", ["", "http://prometheus.monitoring:9090", "https://host/path"])
def test_a_prometheus_has_a_url_or_none(url: str) -> None:
    assert url == parse_settings(SMALLEST + f"prometheus: {{url: '{url}'}}").prometheus.url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("a: [", "not valid YAML", id="text that is not YAML"),
        pytest.param("- a", "must be a YAML mapping", id="a list"),
        pytest.param("{}", "builder: Field required", id="an empty mapping names what is missing"),
        pytest.param(SMALLEST + "drian: {}", "drian: unknown key", id="a misspelt section"),
        pytest.param(
            SMALLEST + "prices: {replica: 1}",
            "prices.currency: Field required",
            id="prices in no currency",
        ),
        pytest.param(
            SMALLEST + "prices: {currency: USD, accelerators: {nvidia.com/gpu: -1}}",
            "prices.accelerators.nvidia.com/gpu: Input should be greater than or equal to 0",
            id="a price below nothing",
        ),
        pytest.param(
            SMALLEST + "drain: {sleepSecond: 1}",
            "drain.sleepSecond: unknown key",
            id="a misspelt key of a section",
        ),
        pytest.param(
            SMALLEST + "artifacts: {url: 'ftp://host/path'}",
            "artifacts.url: String should match pattern",
            id="a store that no adapter reads",
        ),
        pytest.param(
            SMALLEST + "artifacts: {size: 20GB}",
            "artifacts.size: String should match pattern",
            id="a size that is no quantity",
        ),
        pytest.param(
            SMALLEST.replace('"builder:1"', '"builder:1", resources: {limits: {memory: 2GB}}'),
            "builder.resources.limits.memory: String should match pattern",
            id="a limit that is no quantity",
        ),
        pytest.param(
            SMALLEST + "prometheus: {url: 'prometheus.monitoring:9090'}",
            "prometheus.url: String should match pattern",
            id="a URL without http",
        ),
        pytest.param(
            SMALLEST + "artifacts: {secretName: keys}",
            "artifacts: Value error, secretName and egress are of an object store: give its url",
            id="credentials for a claim",
        ),
        pytest.param(
            SMALLEST + "artifacts: {url: 's3://b', egress: [{cidr: 10.0.0.1/8, port: 9000}]}",
            "artifacts.egress.0.cidr: value is not a valid",
            id="an address where a network is asked for",
        ),
        pytest.param(
            SMALLEST + "artifacts: {sweep: {graceHours: 0}}",
            "artifacts.sweep.graceHours: Input should be greater than 0",
            id="a sweep that spares nothing",
        ),
        pytest.param(
            SMALLEST.replace('{image: "builder:1"}', "{image: ''}"),
            "builder.image: String should have at least 1 character",
            id="an empty image",
        ),
        pytest.param(
            SMALLEST.replace('"builder:1"', '"builder:1", allowedSchemes: [pvc, ftp]'),
            "builder.allowedSchemes.1: Input should be 'pvc', 'https', 's3',",
            id="a scheme that nobody reads",
        ),
        pytest.param(
            SMALLEST.replace('"builder:1"', '"builder:1", egress: [{cidr: 10.1.2.3/8, port: 0}]'),
            "builder.egress.0.cidr: value is not a valid IPv4 or IPv6 network\n"
            "builder.egress.0.port: Input should be greater than or equal to 1",
            id="addresses that are no network, and no port",
        ),
        pytest.param(
            SMALLEST.replace('{tritonVersion: "24.10"}', "{}"),
            "runtimes.triton.target.tritonVersion: Field required",
            id="a runtime without what it is built for",
        ),
        pytest.param(
            SMALLEST.replace('"24.10"', '"24.10", simulated: {baseMilliseconds: 40}'),
            "runtimes.triton.target.simulated.perItemMilliseconds: Field required",
            id="half a simulated accelerator",
        ),
        pytest.param(
            SMALLEST.replace(
                '"24.10"', '"24.10", simulated: {baseMilliseconds: -1, perItemMilliseconds: .inf}'
            ),
            "runtimes.triton.target.simulated.baseMilliseconds: Input should be greater than or"
            " equal to 0\nruntimes.triton.target.simulated.perItemMilliseconds: Input should be",
            id="a simulated accelerator of impossible speed",
        ),
        pytest.param(
            SMALLEST + "concurrency: {workers: 0}",
            "concurrency.workers: Input should be greater than or equal to 1",
            id="no workers",
        ),
        pytest.param(
            SMALLEST + "lease: {durationSeconds: 5}",
            "lease: Value error, retryPeriodSeconds must be below renewDeadlineSeconds",
            id="a lease that expires before its holder gives up",
        ),
        pytest.param(
            SMALLEST + "logging: {format: xml}",
            "logging.format: Input should be 'json' or 'text'",
            id="a log format that does not exist",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_path(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert complaint in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"settings\.yaml"):
        load_settings(path)
