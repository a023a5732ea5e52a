"""manifest.json: all that is known of an artifact, beside its files.

The builder writes it last of an artifact's files and reads it again when a key is known. It holds
nothing that differs between two builds of the same inputs on the same machine but the measured
times; those who made it and when are in report.json.
"""

from typing import Any

from dlagent.api.types import ApiModel
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.layout import is_served
from dlagent.domain.artifact.selfcheck import SelfCheck

FORMAT_VERSION = 1


class ArtifactFile(ApiModel):
    sha256: str
    size_bytes: int


class Manifest(ApiModel):
    """One artifact; `key_inputs` is what its key is the digest of: a key explains itself."""

    format_version: int = FORMAT_VERSION
    key: str
    key_inputs: dict[str, Any]
    files: dict[str, ArtifactFile]
    engine: Engine
    precision: str
    interface: ModelInterface
    tau: list[TauPoint]
    self_check: SelfCheck
    versions: dict[str, str]

    def size_bytes(self) -> int:
        """The size of what Triton reads, which every replica holds; the report's varies."""
        return sum(file.size_bytes for path, file in self.files.items() if is_served(path))

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=2) + "\n"
