"""Which kubeconfig is read, and what is wrong with it in words.

kubernetes' clients say neither: a missing file is "no configuration" to them, and what is not a
kubeconfig at all makes them stumble. For the operator's client and the commands'.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

_STUMBLED = (AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError)


class KubeconfigError(Exception):
    """It is not there or cannot be used; the message names it."""


def kubeconfig_location(given: Path | None) -> str:
    """The file given, else those of $KUBECONFIG, else ~/.kube/config."""
    if given is not None:
        return str(given)
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")


@contextmanager
def kubeconfig_errors(location: str, refusal: type[Exception]) -> Iterator[None]:
    """Says as a KubeconfigError what is wrong with what is read of it within.

    `refusal` is the exception of the client that reads it.
    """
    files = [Path(each).expanduser() for each in location.split(os.pathsep) if each]
    if not any(file.exists() for file in files):
        raise KubeconfigError(f"{location}: no such file")
    try:
        yield
    except refusal as error:
        raise KubeconfigError(f"{location}: {error}") from error
    except OSError as error:
        raise KubeconfigError(f"{error.filename or location}: {error.strerror}") from error
    except _STUMBLED as error:
        raise KubeconfigError(f"{location} is no kubeconfig") from error
