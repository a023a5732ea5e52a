"""Train the Fashion-MNIST classifier and export it: `python -m examples.fashion_mnist.train`.

The demo calls `ensure_trained`. What it makes is kept in the user's cache folder under a hash of
the recipe, so that it trains once; nothing here is needed to *serve* the model.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from examples.fashion_mnist import data


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, next to the text of network.py and torch's version."""

    width: int = 24
    dropout: float = 0.2
    epochs: int = 4
    batch: int = 128
    peak_learning_rate: float = 0.01
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    seed: int = 7

    def key(self) -> str:
        """16 hex digits that name the result in the cache."""
        network = Path(__file__).with_name("network.py").read_bytes()
        text = json.dumps(asdict(self), sort_keys=True) + metadata.version("torch")
        return hashlib.sha256(text.encode() + network).hexdigest()[:16]


@dataclass(frozen=True)
class Trained:
    """A trained network in the cache."""

    folder: Path

    @property
    def exported_program(self) -> Path:
        """The network as torch.export's ExportedProgram."""
        return self.folder / "fashion-mnist.pt2"

    @property
    def onnx(self) -> Path:
        """The same network as ONNX."""
        return self.folder / "fashion-mnist.onnx"

    @property
    def accuracy(self) -> float:
        """PyTorch's own share of right answers on the 10,000 test images."""
        return float(self._report()["accuracy"])

    @property
    def seconds(self) -> float:
        """How long training took."""
        return float(self._report()["seconds"])

    def predictions(self) -> NDArray[np.int64]:
        """PyTorch's own class for each of the test images, in order."""
        classes: NDArray[np.int64] = np.load(self.folder / "predictions.npy")
        return classes

    def _report(self) -> dict[str, float]:
        report: dict[str, float] = json.loads((self.folder / "report.json").read_text())
        return report


def cached(recipe: Recipe) -> Trained | None:
    """The result of a recipe that was trained before."""
    folder = data.cache_root() / f"fashion-mnist-{recipe.key()}"
    return Trained(folder) if folder.is_dir() else None


def ensure_trained(console: Console, recipe: Recipe | None = None) -> Trained:
    """The trained network: from the cache, or trained now with progress on the console.

    Raises:
        data.DataUnavailableError: the images are not to be had.
    """
    recipe = recipe or Recipe()
    known = cached(recipe)
    if known is not None:
        return known
    staging = _train_into_staging(recipe, console)
    final = data.cache_root() / f"fashion-mnist-{recipe.key()}"
    try:
        staging.rename(final)  # atomic: a run that was interrupted leaves no half result
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(staging)  # another run won
    return Trained(final)


def _train_into_staging(recipe: Recipe, console: Console) -> Path:
    # Threads that wait by spinning make training three times slower beside other busy programs,
    # and the demo builds the local cluster at the same time. OpenMP reads this when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from examples.fashion_mnist import fit, network  # torch: seconds to import, so only here

    train, test = data.load("train"), data.load("t10k")
    began = time.monotonic()
    model = network.build(recipe.width, recipe.dropout, recipe.seed)
    total = recipe.epochs * (len(train.labels) // recipe.batch)
    with _progress(console, total) as advance:
        fit.fit(
            model,
            train,
            epochs=recipe.epochs,
            batch=recipe.batch,
            peak_learning_rate=recipe.peak_learning_rate,
            weight_decay=recipe.weight_decay,
            label_smoothing=recipe.label_smoothing,
            seed=recipe.seed,
            advance=advance,
        )
    seconds = time.monotonic() - began
    predictions = fit.classify(model, test.images)
    accuracy = float(np.mean(predictions == test.labels))
    staging = Path(tempfile.mkdtemp(dir=data.cache_root(), prefix="fashion-mnist-staging."))
    try:
        result = Trained(staging)
        fit.export(model, result.exported_program, result.onnx)
        np.save(staging / "predictions.npy", predictions)
        report = {
            "accuracy": accuracy,
            "seconds": round(seconds, 1),
            "recipe": asdict(recipe),
        }
        (staging / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        staging.chmod(0o755)
    except BaseException:
        shutil.rmtree(staging)
        raise
    console.print(f"trained in {seconds:.0f} s: {accuracy:.2%} of the 10,000 test images right")
    return staging


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[float], None]]:
    """A progress bar; without a terminal, a line every tenth of the way."""
    seen = 0

    def plain(loss: float) -> None:
        nonlocal seen
        seen += 1
        if seen % max(total // 10, 1) == 0:
            console.print(f"training: step {seen} of {total}, loss {loss:.3f}")

    if not console.is_terminal:
        yield plain
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=total, loss=0.0)
        yield lambda loss: progress.update(task, advance=1, loss=loss)


def main() -> None:
    """Train, or say where the result of an earlier run is."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.fashion_mnist.train",
        description="Train the Fashion-MNIST classifier and export it as .pt2 and .onnx.",
    )
    parser.add_argument("--out", type=Path, help="copy the exported files into this folder too")
    arguments = parser.parse_args()
    console = Console()
    try:
        result = ensure_trained(console)
    except data.DataUnavailableError as error:
        raise SystemExit(f"error: {error}") from None
    console.print(f"accuracy by PyTorch  {result.accuracy:.2%}", highlight=False)
    for path in (result.exported_program, result.onnx):
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            path = Path(shutil.copy(path, arguments.out))
        console.print(f"{data.digest_of(path)}  {path}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
