"""What the client of each service is told of the store's Secret; nothing of a source's is taken."""

import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dlagent.adapters.object_services import (
    azure_options,
    client,
    google_options,
    own_environment,
    s3_options,
)

NO_OTHER_SERVER = {"config_kwargs": {"ignore_configured_endpoint_urls": True}}
GOOGLE = {"endpoint_url": "https://storage.googleapis.com"}
ACCOUNT = {"AZURE_STORAGE_ACCOUNT_NAME": "vision"}


def test_the_stores_own_variables_are_those_with_its_prefix() -> None:
    given = {"DLAGENT_STORE_AWS_ACCESS_KEY_ID": "k", "AWS_ACCESS_KEY_ID": "source"}

    assert {"AWS_ACCESS_KEY_ID": "k"} == own_environment(given)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        pytest.param(
            {"AWS_ENDPOINT_URL": "u"},
            {"anon": True, "endpoint_url": "u"},
            id="a store without keys takes no source's",
        ),
        pytest.param(
            {
                "AWS_ACCESS_KEY_ID": "k",
                "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_SESSION_TOKEN": "t",
                "AWS_DEFAULT_REGION": "r",
            },
            {
                "anon": False,
                "key": "k",
                "secret": "s",
                "token": "t",
                "client_kwargs": {"region_name": "r"},
                **NO_OTHER_SERVER,
            },
            id="all of them, and Amazon's own server",
        ),
    ],
)
def test_s3(own: Mapping[str, str], told: dict[str, object]) -> None:
    assert told == s3_options(own)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        pytest.param(
            {"service-account.json": json.dumps({"type": "service_account"})},
            {"token": {"type": "service_account"}, **GOOGLE},
            id="the key of a service account",
        ),
        pytest.param({"else": ""}, {"token": "anon", **GOOGLE}, id="no key: as anyone may"),
        pytest.param(
            {"STORAGE_EMULATOR_HOST": "http://h:1"},
            {"token": "anon", "endpoint_url": "http://h:1"},
            id="another server",
        ),
    ],
)
def test_gs(own: Mapping[str, str], told: dict[str, object]) -> None:
    assert told == google_options(own)


def test_googles_client_takes_the_service_accounts_key() -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "store@vision.example",
        "token_uri": "https://token.example",
        "private_key": key.decode(),
    }

    found = client("gs", {"DLAGENT_STORE_service-account.json": json.dumps(account)})

    assert "store@vision.example" == found.credentials.credentials.service_account_email


def test_a_service_accounts_key_that_is_none_is_told() -> None:
    with pytest.raises(OSError, match=r"service-account\.json in the store's Secret is not JSON"):
        google_options({"service-account.json": "/credentials/key.json"})


@pytest.mark.parametrize(
    ("own", "told"),
    [
        pytest.param(
            {"AZURE_STORAGE_CONNECTION_STRING": "c", **ACCOUNT}, "c", id="a connection string first"
        ),
        pytest.param(
            ACCOUNT | {"AZURE_STORAGE_ACCOUNT_KEY": "k=="},
            "AccountName=vision;AccountKey=k==",
            id="the key of an account",
        ),
        pytest.param(
            ACCOUNT | {"AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=a%3D"},
            "AccountName=vision;SharedAccessSignature=sv=1&sig=a%3D",
            id="a signature for it",
        ),
        pytest.param(ACCOUNT, "AccountName=vision", id="neither: as anyone may"),
    ],
)
def test_az(own: Mapping[str, str], told: str) -> None:
    assert {"connection_string": told} == azure_options(own)


def test_an_account_must_be_named() -> None:
    with pytest.raises(OSError, match="give it AZURE_STORAGE_CONNECTION_STRING or"):
        azure_options({"AZURE_STORAGE_ACCOUNT_KEY": "k"})


@pytest.mark.parametrize(
    "own",
    [
        pytest.param({"AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}, id="with a key"),
        pytest.param({"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=a2V5"}, id="with a signature"),
    ],
)
def test_azures_client_takes_the_account_of_the_store_and_not_a_sources(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, str]
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "source")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c291cmNl")

    found = client(
        "az", {f"DLAGENT_STORE_{name}": value for name, value in (ACCOUNT | own).items()}
    ).service_client

    address, _, signature = found.url.partition("?")
    assert "https://vision.blob.core.windows.net/" == address
    assert "a2V5" == (signature or found.credential.account_key)[-4:]
