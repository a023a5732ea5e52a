"""`python -m dlagent.load`: the init container that puts a verified artifact before Triton.

It copies the files of an artifact from the store into the pod's own folder, checks each SHA-256 on
the way, and writes the config.pbtxt of this revision; of an ensemble, its members' first. Triton
never reads the store, so a wrong key or a flipped byte never serves. Then it prints the artifact's
report, for `dlagent report AGENT`. Starts in a fraction of a second: standard library only.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    ArtifactStore,
    Disk,
    is_out_of_space,
    open_store,
)
from dlagent.domain.artifact.layout import (
    CONFIG,
    MODEL,
    REPORT,
    FileEntry,
    member_files,
    model_files,
)
from dlagent.domain.artifact.report_line import MOST_BYTES, report_line

EXIT_OK = 0
EXIT_UNREADABLE = 1
EXIT_MISSING = 20
EXIT_CORRUPT = 21
EXIT_NO_SPACE = 22

CONFIG_VARIABLE = "DLAGENT_CONFIG_PBTXT"
MEMBER_CONFIGS_VARIABLE = "DLAGENT_MEMBER_CONFIGS"  # a JSON object, by the member's name
_CONFIG_FILE = CONFIG.removeprefix(MODEL)
DEFAULT_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True)
class Configs:
    """The config.pbtxt of this revision, for the model and for members; None: the artifact's."""

    model: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)


def load(
    store: ArtifactStore, key: str, models: Path, name: str, configs: Configs, disk: Disk
) -> None:
    """Put the model `name` into `models`, complete or not at all; its members before it.

    All that the artifact has below model/ goes there; `configs` take the place of its own
    config.pbtxt.

    Raises:
        ArtifactMissingError, ArtifactCorruptError, OSError.
    """
    table = store.table(key)
    for member, files in member_files(table).items():
        paths = {path.removeprefix(f"{member}/"): (path, files[path]) for path in files}
        _put(store, key, models, _Model(member, paths, configs.members.get(member)), disk)
    paths = {path.removeprefix(MODEL): (path, entry) for path, entry in model_files(table).items()}
    _put(store, key, models, _Model(name, paths, configs.model), disk)


@dataclass(frozen=True)
class _Model:
    """One of Triton's models: its files, by their path in its folder, as the artifact has them."""

    name: str
    files: Mapping[str, tuple[str, FileEntry]]
    config: str | None


def _put(store: ArtifactStore, key: str, models: Path, model: _Model, disk: Disk) -> None:
    name = model.name
    # A leading dot: should Triton ever look before the rename, it passes this folder over.
    unfinished, replaced = models / f".{name}.loading", models / f".{name}.replaced"
    disk.remove(unfinished)
    disk.remove(replaced)
    try:
        for inside, (path, entry) in model.files.items():
            target = unfinished / inside
            disk.make_folder(target.parent)
            if inside == _CONFIG_FILE and model.config is not None:
                disk.write(target, iter((model.config.encode(),)))
            else:
                disk.write(target, store.verified_chunks(key, path, entry))
        # A restarted init container finds what the one before it has loaded.
        if (models / name).exists():
            disk.rename(models / name, replaced)
        disk.rename(unfinished, models / name)
        disk.remove(replaced)
    except BaseException:
        disk.remove(unfinished)
        raise


def report_of(store: ArtifactStore, key: str) -> str | None:
    """The line that tells of the artifact's report; None where there is none to be believed.

    Nothing that is wrong with a report keeps an artifact from serving.
    """
    try:
        entry = store.table(key).get(REPORT)
        if entry is None or entry.size_bytes > MOST_BYTES:
            return None
        return report_line(b"".join(store.verified_chunks(key, REPORT, entry)))
    except (ArtifactMissingError, ArtifactCorruptError, OSError):
        return None


def main(arguments: list[str] | None = None, disk: Disk | None = None) -> int:
    """The program; returns its exit code, which the operator knows the meaning of."""
    options = _parser().parse_args(arguments)
    step = disk or Disk()
    try:
        store = open_store(options.store)
        load(
            store,
            options.key,
            options.models,
            options.name,
            _configs(),
            step,
        )
    except ArtifactMissingError as error:
        return _end(options, EXIT_MISSING, f"{error}; the operator builds it again")
    except ArtifactCorruptError as error:
        return _end(options, EXIT_CORRUPT, f"artifact {options.key} is corrupt: {error}")
    except OSError as error:
        if is_out_of_space(error):
            return _end(options, EXIT_NO_SPACE, f"no space in {options.models}: {error}")
        return _end(options, EXIT_UNREADABLE, f"cannot load from {options.store}: {error}")
    if (line := report_of(store, options.key)) is not None:
        print(line, flush=True)
    return _end(options, EXIT_OK, f"loaded artifact {options.key}")


def _configs() -> Configs:
    members = json.loads(os.environ.get(MEMBER_CONFIGS_VARIABLE, "{}"))
    return Configs(os.environ.get(CONFIG_VARIABLE), members)


def _end(options: argparse.Namespace, code: int, message: str) -> int:
    print(message, file=sys.stderr)
    try:
        options.termination_log.write_text(message)
    except OSError as error:
        print(f"cannot write {options.termination_log}: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dlagent.load",
        description="Copy a verified artifact from the store to where Triton reads it. "
        f"{CONFIG_VARIABLE} in the environment holds the config.pbtxt to write, and"
        f" {MEMBER_CONFIGS_VARIABLE} those of the members of an ensemble.",
    )
    parser.add_argument("--store", required=True, help="the store: a folder or a URL")
    parser.add_argument("--key", required=True, help="the artifact's key")
    parser.add_argument("--name", required=True, help="the model's name: the agent's")
    parser.add_argument("--models", type=Path, required=True, help="Triton's model repository")
    parser.add_argument("--termination-log", type=Path, default=Path(DEFAULT_TERMINATION_LOG))
    return parser


if __name__ == "__main__":
    sys.exit(main())
