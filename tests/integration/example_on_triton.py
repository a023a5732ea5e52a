"""The example's artifact as models of a real Triton: for tests of what Triton does with them."""

import shutil
from pathlib import Path

from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import ServingPlan, render_config

_ARTIFACT = Path(__file__).parents[2] / "model_repo"


def manifest_of_example() -> Manifest:
    return Manifest.model_validate_json((_ARTIFACT / "manifest.json").read_bytes())


def put_model(
    folder: Path, manifest: Manifest, plan: ServingPlan, simulated: Simulated | None
) -> None:
    """The example's network in a model's folder, to be served by this plan."""
    shutil.copytree(_ARTIFACT / "model/1", folder / "1")
    config = render_config(manifest.interface, plan, manifest.engine, simulated)
    (folder / "config.pbtxt").write_text(config)
