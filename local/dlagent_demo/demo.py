"""The demo from start to end: what is done in which order, and what counts as a failure."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import Progress

from dlagent.cli.agent_client import AgentClient
from dlagent_demo import scaling
from dlagent_demo.agentview import follow
from dlagent_demo.classify import Served, classify
from dlagent_demo.places import NAMESPACE, LocalPlace, OwnPlace, Place
from dlagent_demo.rollout import Rollout, roll_out
from dlagent_demo.screen import Screen
from examples.fashion_mnist import data
from examples.fashion_mnist.train import Recipe, Trained, cached, ensure_trained

AGENT = "fashion-mnist"
MANIFEST = "examples/fashion_mnist/agent.yaml"
CHANGE = '{"spec":{"serving":{"batchDelayMicroseconds":500}}}'
SERVE_SECONDS = 300.0
INTERRUPTED = 130


class DemoFailedError(RuntimeError):
    """The demo ran and did not show what it should."""


def main() -> None:
    """Run the demo; exit code 0 only where every answer and every request was as promised."""
    arguments = _arguments()
    place = _place(arguments)
    screen = Screen(Console())
    signal.signal(signal.SIGTERM, _interrupt)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        if arguments.down:
            place.down()
            screen.line("all that the demo started is gone")
        else:
            _run(place, screen)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # nothing may stop the cleaning up
            signal.signal(number, signal.SIG_IGN)
        screen.line("interrupted: taking everything down")
        place.down()
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # the process boundary; the cluster stays to be looked at
        if os.environ.get("DLAGENT_DEBUG"):
            raise
        screen.line(f"failed: {error}", style="bold red")
        screen.line(f"the cluster is still up: {place.shell}; take it down: make demo-down")
        raise SystemExit(1) from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dlagent_demo",
        description="From a trained network to right answers, on a real Kubernetes. "
        "KUBECONFIG or --kubeconfig picks your own cluster; without, one starts on this machine.",
    )
    parser.add_argument("--down", action="store_true", help="remove all that the demo made")
    parser.add_argument("--kubeconfig", type=Path, help="your own cluster (operator installed)")
    parser.add_argument(
        "--copier-image",
        default="busybox:stable",
        help="own cluster: image with sh, cat and sleep that copies the model into its volume",
    )
    return parser.parse_args()


def _place(arguments: argparse.Namespace) -> Place:
    local = LocalPlace()
    named = arguments.kubeconfig or os.environ.get("KUBECONFIG")
    # What the demo itself told to export names no cluster of the user's own.
    if not named or Path(named) == local.kubeconfig:
        return local
    return OwnPlace(arguments.kubeconfig, arguments.copier_image)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(place: Place, screen: Screen) -> None:
    training = _train_beside()
    try:
        with screen.stage("A real Kubernetes, with the operator"):
            place.up(screen)
            screen.line(place.shell)
        with screen.stage("A trained network"):
            trained = _trained(training, screen)
    finally:
        if training:
            training.kill()
            training.wait()
    with screen.stage("The agent: built, checked, served"):
        place.put_model(trained.exported_program)
        screen.command(f"kubectl apply -n {NAMESPACE} -f {MANIFEST}")
        place.kube("apply", "-f", MANIFEST)
        follow(place.kube, AGENT, screen, lambda seen: seen.ready, SERVE_SECONDS)
    test = data.load("t10k")
    client = AgentClient(place.endpoint(AGENT), AGENT)
    with screen.stage("10,000 test images through the agent's URL"):
        screen.line(client.endpoint.base)
        served = _classify(client, test.images, screen)
        _compare(served, trained, test.labels, screen)
    with screen.stage("A change under load: the agent rolls out"):
        result = roll_out(
            place.kube, client, test.images[0], lambda: _change(place, screen), screen
        )
        _judge(result, screen)
    with screen.stage("A promise under a load that rises and falls: replicas follow"):
        _scale(place, test.images[0], screen)
    _what_next(place, screen)


def _train_beside() -> subprocess.Popen[bytes] | None:
    """Training in a process of its own, beside the start of the cluster; None if it was done."""
    if cached(Recipe()):
        return None
    log = data.cache_root() / "training.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        command = [sys.executable, "-m", "examples.fashion_mnist.train"]
        return subprocess.Popen(
            command, stdout=output, stderr=output, preexec_fn=lambda: os.nice(5)
        )


def _trained(training: subprocess.Popen[bytes] | None, screen: Screen) -> Trained:
    """The trained network, once the process beside has made it."""
    log = data.cache_root() / "training.log"
    said = ""
    while training and training.poll() is None:
        lines = log.read_text().splitlines()
        if lines and lines[-1] != said:
            said = lines[-1]
            screen.line(said, style="dim")
        time.sleep(0.5)
    if training and training.returncode != 0:
        raise DemoFailedError(f"training failed: {log.read_text().strip()[-600:]}")
    trained = ensure_trained(screen.console)
    screen.line(f"{trained.exported_program}, trained in {trained.seconds:.0f} s")
    return trained


def _classify(client: AgentClient, images: Any, screen: Screen) -> Served:
    if not screen.console.is_terminal:
        return classify(client, images, lambda _count: None)
    with Progress(console=screen.console, transient=True) as progress:
        task = progress.add_task("classifying", total=len(images))
        return classify(client, images, lambda count: progress.advance(task, count))


def _compare(served: Served, trained: Trained, labels: Any, screen: Screen) -> None:
    own = trained.predictions()
    same = int((served.classes == own).sum())
    screen.line(
        f"{len(labels):,} images in {served.seconds:.1f} s, {served.requests:,} requests: "
        f"{served.images_per_second:,.0f} images/s"
    )
    screen.line(f"accuracy as served    {served.accuracy(labels):.2%}", style="bold")
    screen.line(f"accuracy by PyTorch   {trained.accuracy:.2%}", style="bold")
    screen.line(f"same class from both  {same:,} of {len(labels):,}")
    if same < 0.999 * len(labels):
        raise DemoFailedError("the agent does not answer what PyTorch answers")


def _change(place: Place, screen: Screen) -> None:
    screen.command(f"kubectl patch dlagent {AGENT} -n {NAMESPACE} --type=merge -p '{CHANGE}'")
    place.kube("patch", "dlagent", AGENT, "--type=merge", "-p", CHANGE)


def _judge(result: Rollout, screen: Screen) -> None:
    screen.console.print(result.table())
    screen.line(f"revision {result.old_revision} -> {result.new_revision}")
    failures = result.load.failures()
    if failures:
        first = failures[0]
        raise DemoFailedError(
            f"{len(failures)} requests failed; the first, at {first.due_seconds:.1f} s: "
            f"{first.error}"
        )
    screen.line(f"{len(result.load.requests)} requests, none failed", style="bold green")


def _scale(place: Place, image: Any, screen: Screen) -> None:
    if not place.simulates:
        screen.line("only on the local cluster: it needs the runtime simulated-accelerator")
        return
    screen.command(f"kubectl apply -n {NAMESPACE} -f {scaling.MANIFEST}")
    place.kube("apply", "-f", scaling.MANIFEST)
    follow(place.kube, scaling.AGENT, screen, lambda seen: seen.ready, SERVE_SECONDS)
    client = AgentClient(place.endpoint(scaling.AGENT), scaling.AGENT)
    scaled = scaling.scale(place.kube, client, image, screen)
    if scaled.summary.failed:
        raise DemoFailedError(f"{scaled.summary.failed} requests failed")
    if not scaled.kept:
        raise DemoFailedError(f"the promise was not kept: {scaled}. Was the machine busy?")


def _what_next(place: Place, screen: Screen) -> None:
    screen.console.print("\n[bold]It stays up. What to try next:[/bold]")
    loaded = scaling.AGENT if place.simulates else AGENT
    for text in (
        "export PATH=$PWD/.venv/bin:$PATH",
        place.shell,
        f"kubectl get dlagents -n {NAMESPACE} -o wide",
        f"kubectl describe dlagent {loaded} -n {NAMESPACE}",
        f"dlagent explain {loaded} -n {NAMESPACE}",
        "python -m examples.fashion_mnist.picture 0 > boot.png",
        f"dlagent infer {AGENT} boot.png -n {NAMESPACE}",
        f"dlagent bench {loaded} -n {NAMESPACE} --rate 5..90 --shape steps --duration 3m"
        " --fresh-connections --plot load.png",
        "make demo-down",
    ):
        screen.console.print(f"  {text}", style="cyan", highlight=False, soft_wrap=True)
    screen.line("all as promised", style="bold green")
