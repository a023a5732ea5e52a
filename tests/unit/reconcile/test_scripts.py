"""Scripts of Python steps: from a ConfigMap into a build, and what is said where they are not."""

from typing import Any

import pytest

from dlagent.api.types import ConfigMapKey
from dlagent.reconcile.ports import Key
from dlagent.reconcile.scripts import script_in
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster, agent_object
from tests.unit.reconcile.lives import ACT, config_map, message, served, told
from tests.unit.reconcile.operator_process import Operator

Json = dict[str, Any]
REFERENCE = ConfigMapKey(name="steps", key="act.py")
LOOK_AGAIN_SECONDS = 30.0


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        pytest.param(config_map("x = 1"), None, id="a script"),
        pytest.param(config_map(""), None, id="an empty one, of which the build tells"),
        pytest.param(config_map("x" * 32_766), None, id="as large as may be"),
        pytest.param(
            None,
            "there is no ConfigMap steps. Create it: kubectl create configmap steps"
            " --from-file=act.py.",
            id="no ConfigMap",
        ),
        pytest.param(config_map(None), "ConfigMap steps has no key act.py. Add", id="no key"),
        pytest.param(
            config_map(None) | {"binaryData": {"act.py": "//4="}},
            "key act.py of ConfigMap steps is not UTF-8. Save it so.",
            id="no text",
        ),
        pytest.param(
            config_map("x" * 32_767),
            "key act.py of ConfigMap steps has 32,769 bytes (as JSON), at most 32,768",
            id="a byte too much",
        ),
        pytest.param(config_map('"' * 20_000), "has 40,002 bytes (as JSON)", id="much to escape"),
    ],
)
def test_the_script_in_a_config_map(found: Json | None, problem: str | None) -> None:
    said, text = script_in(found, REFERENCE)

    if problem is None:
        assert said is None
        assert found is not None
        assert found["data"]["act.py"] == text
    else:
        assert said is not None
        assert problem in said


async def test_a_script_goes_into_the_build_and_a_change_of_it_makes_another(
    cluster: FakeCluster,
) -> None:
    operator = Operator(cluster)
    cluster.put(config_map("one"))
    first = await served(cluster, operator, act=ACT)

    cluster.put(config_map("two"))
    await operator.settle()

    second = await served_again(cluster)
    assert first != second
    assert 2 == len(cluster.stored)


async def served_again(cluster: FakeCluster) -> str:
    assert ("True", "Serving") == told(cluster, "Ready")
    (deployment,) = cluster.of_kind("Deployment")
    revision: str = deployment["metadata"]["labels"]["dlagent.io/revision"]
    return revision


async def test_an_agent_with_a_script_is_looked_at_now_and_then(cluster: FakeCluster) -> None:
    operator = Operator(cluster)
    cluster.put(config_map("one"))
    await served(cluster, operator, act=ACT)

    assert LOOK_AGAIN_SECONDS == await operator.reconciler.reconcile(Key(NAMESPACE, "shoes"))


async def test_without_its_script_an_agent_says_so_until_it_is_there(cluster: FakeCluster) -> None:
    operator = Operator(cluster)
    cluster.put(agent_object(act=ACT))
    await operator.settle()

    assert ("False", "PythonStepUnavailable") == told(cluster, "Ready")
    assert ("True", "PythonStepUnavailable") == told(cluster, "Stalled")
    assert "spec.act[1].python: there is no ConfigMap steps." in message(cluster)
    assert [] == cluster.of_kind("Job")
    assert LOOK_AGAIN_SECONDS == await operator.reconciler.reconcile(Key(NAMESPACE, "shoes"))

    cluster.put(config_map("one"))
    await operator.settle()

    assert ("True", "Serving") == told(cluster, "Ready")


async def test_what_serves_goes_on_without_the_script_and_is_sized(cluster: FakeCluster) -> None:
    operator = Operator(cluster)
    cluster.put(config_map("one"))
    manual: Json = {"scaling": {"mode": "Manual"}, "replicas": 1}
    await served(cluster, operator, act=ACT, **manual)

    cluster.remove("ConfigMap", "steps")
    await operator.settle()
    cluster.edit(replicas=2)
    await operator.settle()

    assert ("False", "PythonStepUnavailable") == told(cluster, "Ready")
    assert ("True", "ServingPrevious") == told(cluster, "Available")
    (deployment,) = cluster.of_kind("Deployment")
    assert 2 == deployment["spec"]["replicas"]
