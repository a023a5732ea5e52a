"""What the manifests need of the operator's settings; dlagent.runtime.settings fits by shape."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dlagent.api.types import Resources


class Egress(Protocol):
    """Addresses that pods may reach; `cidr` is an IP network, whose text is asked for."""

    @property
    def cidr(self) -> object: ...
    @property
    def port(self) -> int: ...
    @property
    def protocol(self) -> str: ...


class Builder(Protocol):
    """How build Jobs and loaders run."""

    @property
    def isolated_pod_annotations(self) -> Mapping[str, str]: ...

    @property
    def image(self) -> str: ...
    @property
    def image_pull_policy(self) -> str: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def pod_annotations(self) -> Mapping[str, str]: ...


class Target(Protocol):
    """What a runtime is."""

    @property
    def triton_version(self) -> str: ...


class Profile(Protocol):
    """How Triton is run: a named runtime profile."""

    @property
    def target(self) -> Target: ...

    @property
    def image(self) -> str: ...
    @property
    def image_pull_policy(self) -> str: ...
    @property
    def command(self) -> Sequence[str] | None: ...
    @property
    def args(self) -> Sequence[str]: ...
    @property
    def env(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def pod_annotations(self) -> Mapping[str, str]: ...
    @property
    def startup_seconds(self) -> int: ...


class Drain(Protocol):
    """How a serving pod goes."""

    @property
    def sleep_seconds(self) -> int: ...
    @property
    def exit_timeout_seconds(self) -> int: ...


class Store(Protocol):
    """Where a namespace's artifacts are: a claim, or below `url` in an object store."""

    @property
    def url(self) -> str | None: ...
    @property
    def secret_name(self) -> str | None: ...
    @property
    def egress(self) -> Sequence[Egress]: ...
    @property
    def storage_class_name(self) -> str | None: ...
    @property
    def size(self) -> str: ...
    @property
    def access_modes(self) -> Sequence[str]: ...
