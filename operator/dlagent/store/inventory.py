"""What is in a store, as those want to know it who look after it: `dlagent artifacts`."""

from collections.abc import Sequence

from pydantic import Field, ValidationError

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    ArtifactStore,
)
from dlagent.api.types import ApiModel
from dlagent.domain.artifact.layout import MANIFEST, StoredArtifact
from dlagent.domain.artifact.manifest import Manifest


class Item(ApiModel):
    """One artifact. `used_at` in seconds since the epoch; `trouble` says why it cannot be used."""

    key: str
    used_at: float | None = None
    size_bytes: int | None = None
    engine: str | None = None
    precision: str | None = None
    source_sha256: str | None = None
    trouble: str | None = None


class Inventory(ApiModel):
    artifacts: list[Item] = Field(default_factory=list)


def inventory(store: ArtifactStore) -> Inventory:
    """Everything in the store, by its manifests; their files are not read. Raises OSError."""
    return Inventory(artifacts=[_item(store, found) for found in store.artifacts()])


def verified(store: ArtifactStore, keys: Sequence[str]) -> Inventory:
    """What is wrong with these artifacts, of which every file is read; none named: all.

    Raises OSError.
    """
    wanted = keys or [found.key for found in store.artifacts()]
    return Inventory(artifacts=[_verified(store, key) for key in wanted])


def read(store: ArtifactStore, key: str, path: str) -> bytes:
    """A file of an artifact, or its manifest, verified.

    Raises:
        ArtifactMissingError, ArtifactCorruptError, OSError: it cannot be had whole.
    """
    if path == MANIFEST:
        return store.manifest(key)
    entry = store.table(key).get(path)
    if entry is None:
        raise ArtifactMissingError(f"artifact {key} has no file {path}")
    return b"".join(store.verified_chunks(key, path, entry))


def _verified(store: ArtifactStore, key: str) -> Item:
    try:
        store.verify(key)
    except (ArtifactCorruptError, ArtifactMissingError) as error:
        return Item(key=key, trouble=str(error))
    return Item(key=key)


def _item(store: ArtifactStore, found: StoredArtifact) -> Item:
    item = Item(key=found.key, used_at=found.used_at, size_bytes=found.size_bytes)
    try:
        manifest = Manifest.model_validate_json(store.manifest(found.key))
    except (ArtifactCorruptError, ArtifactMissingError) as error:
        return item.model_copy(update={"trouble": str(error)})
    except ValidationError:
        return item.model_copy(update={"trouble": "its manifest is of another version"})
    source = manifest.key_inputs.get("sourceSha256")
    return item.model_copy(
        update={
            "engine": manifest.engine,
            "precision": manifest.precision,
            "source_sha256": str(source) if source is not None else None,
        }
    )
