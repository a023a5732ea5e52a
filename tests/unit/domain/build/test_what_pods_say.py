"""What a build's containers say of it: what it is at, and whose word counts."""

import pytest

from dlagent.domain.artifact.summary import Outcome
from dlagent.domain.build.containers import IN_ORDER
from dlagent.domain.build.decision import decide_build
from dlagent.domain.rollout.seen import Container, Pod
from tests.unit.domain.rollout.situations import KEY, NOW, SHA, job, said, seen
from tests.unit.reconcile.build_summary import summary


@pytest.mark.parametrize(
    ("containers", "progress", "expected"),
    [
        pytest.param((), None, "The build is starting.", id="nothing runs yet"),
        pytest.param(
            (Container("triton", running=True), Container("fetch")),
            None,
            "The build is starting.",
            id="the Triton beside it is up, and no more",
        ),
        pytest.param(
            (Container("fetch", running=True), Container("build")),
            None,
            "The build runs.",
            id="it is fetched, and nothing is said of it yet",
        ),
        pytest.param(
            (Container("fetch", exit_code=0), Container("build", running=True)),
            "comparing with the network (7 of 9)",
            "Building: comparing with the network (7 of 9).",
            id="it is built",
        ),
        pytest.param(
            (Container("fetch", exit_code=0), Container("build", exit_code=0)),
            "writing the report (9 of 9)",
            "Building: writing the report (9 of 9).",
            id="what was built is not published yet",
        ),
        pytest.param(
            tuple(Container(name, exit_code=0) for name in IN_ORDER),
            "publishing artifact 0123 (9 of 9)",
            "The build ended; its result is being recorded.",
            id="it is published",
        ),
    ],
)
def test_what_a_build_is_at(
    containers: tuple[Container, ...], progress: str | None, expected: str
) -> None:
    running = job(progress=progress, pods=(Pod("p", containers=containers),))

    assert expected == decide_build(seen(jobs=(running,)), NOW).message


@pytest.mark.parametrize("container", ["fetch", "build"])
def test_what_reads_models_is_not_believed_that_an_artifact_is_there(container: str) -> None:
    """Else a model that has taken over its process could name the artifact of another agent."""
    forged = said(summary("f" * 64, SHA, Outcome.PUBLISHED), container)
    published = said(summary(KEY, SHA, Outcome.PUBLISHED))
    pod = Pod("p", containers=(*forged.containers, *published.containers))

    assert job(pods=(forged,)).result is None
    found = job(pods=(pod,)).result
    assert found is not None
    assert KEY == found.key
