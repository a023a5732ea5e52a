"""The files of a source's Secret, as its pod finds them below /credentials.

Most services read environment variables of their own, which are made from the same Secret. What is
here is for those that have none.
"""

import base64
import json
from pathlib import Path

DOCKER_CONFIG = ".dockerconfigjson"  # the key of Secrets of type kubernetes.io/dockerconfigjson
GOOGLE_KEY = "service-account.json"


def basic_auth(credentials: Path) -> tuple[str, str] | None:
    """User name and password: the keys of Secrets of type kubernetes.io/basic-auth."""
    username, password = _value(credentials, "username"), _value(credentials, "password")
    return (username, password) if username is not None and password is not None else None


def registry_auth(credentials: Path, host: str) -> tuple[str, str] | None:
    """User name and password for a registry, from a Docker configuration or as `basic_auth`."""
    config = file(credentials, DOCKER_CONFIG)
    if config is None:
        return basic_auth(credentials)
    try:
        packed = json.loads(config.read_text(encoding="utf-8"))["auths"][host]["auth"]
        username, _, password = base64.b64decode(packed).decode().partition(":")
    except (ValueError, KeyError, TypeError):
        return None
    return username, password


def bearer_token(credentials: Path) -> str | None:
    return _value(credentials, "token")


def file(credentials: Path, key: str) -> Path | None:
    """The file of a key, None where the Secret has none."""
    path = credentials / key
    return path if path.is_file() else None


def _value(credentials: Path, key: str) -> str | None:
    path = file(credentials, key)
    return path.read_text(encoding="utf-8").strip() if path is not None else None
