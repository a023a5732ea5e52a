"""What the apiserver itself refuses, with the words that `kubectl apply` prints, and what it takes.

Needs no operator: `bare_apiserver` is enough.
"""

from typing import Any

import pytest

from admission import IMAGE, SMALLEST, agent, python, refusal, source
from dlagent.api.types import DLAgentSpec, PodPlacement, Serving
from harness import Json, Kubectl, KubectlError, eventually, merged

FULL: Json = {
    "model": {
        "source": {
            "uri": "s3://models/shoes/v3.bytes",
            "sha256": "9f" * 32,
            "secretRef": {"name": "model-store"},
        },
        "format": "SafeTensors",
        "factory": "shoes.net:build",
        "inputs": IMAGE,
        "outputs": [{"name": "logits", "dataType": "FP32", "shape": [-1]}],
    },
    "perceive": [
        {
            "python": {
                "configMapRef": {"name": "shoes.steps", "key": "perceive_v2.py"},
                "outputs": [{"name": "image", "dataType": "UINT8", "shape": [28, 28]}],
            }
        },
        {"cast": {"dataType": "FP32"}},
        {"scale": {"multiply": "0.00392156862745098"}},
        {"normalize": {"mean": ["0.286", 0, "-0.001"], "std": [".353", 1, "2"]}},
        {"reshape": {"shape": [1, -1, 28]}},
        {"transpose": {"axes": [2, 0, 1]}},
        {"resize": {"height": 4, "width": 5, "layout": "HWC", "interpolation": "Nearest"}},
        {"centerCrop": {"height": 4, "width": 4, "layout": "CHW"}, "input": "image"},
        {"oneHot": {"depth": 2}},
    ],
    "act": [
        {"meanPooling": {"mask": "image"}, "output": "logits"},
        {"l2Normalize": {}},
        {"sigmoid": {}},
        {"threshold": {"value": ".5"}},
        {"softmax": {}},
        {"topK": {"k": 3}},
        {"labels": {"values": ["ankle boot", "Stiefel, größer"]}},
    ],
    "build": {
        "image": "registry.example/builder:1",
        "timeoutMinutes": 30,
        "timeBudgetMinutes": 10,
        "dataset": {"uri": "pvc://models/shoes.npz", "sha256": "1a" * 32},
        "gate": {"metric": "TopK", "k": 3, "maxDropPercent": "0.5"},
        "precision": "FP16",
        "engine": "ONNXRuntime",
        "prune": {"channelsPercent": 50},
        "distill": {
            "epochs": 3,
            "student": {"uri": "s3://models/small.pt2", "sha256": "2b" * 32},
        },
        "resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "8Gi"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "low",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "registry"}],
    },
    "serving": {
        "runtime": "triton",
        "maxBatchSize": 16,
        "batchDelayMicroseconds": 0,
        "instancesPerReplica": 2,
        "responseCache": True,
        "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
        "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
        ],
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "preference": {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
                    }
                ]
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"dlagent.io/name": "full"}},
            }
        ],
        "podLabels": {"team": "shoes"},
        "podAnnotations": {"example.com/note": "any text"},
        "env": [
            {"name": "LEVEL", "value": "1"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}},
        ],
    },
    "slo": {"latency": {"thresholdMilliseconds": 50, "objectivePercent": "99.9"}},
    "scaling": {
        "mode": "Manual",
        "schedule": [
            {
                "name": "sale",
                "cron": "30 8 * * mon-fri",
                "timeZone": "America/Argentina/Salta",
                "durationMinutes": 480,
                "minReplicas": 10,
            },
            *(
                {
                    "cron": "0,5,10,15,20,25,30,35,40,45,50,55 */2 1,15,L JAN-DEC 0-7",
                    "durationMinutes": 5,
                    "minReplicas": 2,
                }
                for _ in range(15)
            ),
        ],
    },
    "replicas": 3,
    "rollout": {"strategy": "Rolling", "deadlineSeconds": 300},
    "paused": True,
}
LABELLED: list[Json] = [
    {"softmax": {}},
    {"argmax": {}},
    {"labels": {"values": ["0123456789abcdef"] * 2048}},
]
TWO_INPUTS: Json = {
    "model": {
        "inputs": [{"name": n, "dataType": "INT64", "shape": [-1]} for n in ("ids", "mask")],
        "outputs": [{"name": n, "dataType": "FP32", "shape": [-1, 8]} for n in ("last", "all")],
    },
    "perceive": [{"cast": {"dataType": "INT64"}, "input": "mask"}],
    "act": [{"meanPooling": {"mask": "mask"}, "output": "last"}, {"l2Normalize": {}}],
}


# As many steps with as many tensors as may be, for what the rules may cost.
WIDE: Json = {
    "model": {
        "inputs": [{"name": f"in{n}", "dataType": "INT64", "shape": [-1]} for n in range(16)],
        "outputs": [{"name": f"out{n}", "dataType": "FP32", "shape": [8]} for n in range(16)],
    },
    "perceive": [
        python(*({"name": f"x{n}", "dataType": "INT64", "shape": [-1]} for n in range(16))),
        *({"cast": {"dataType": "FP32"}, "input": f"x{n}"} for n in range(15)),
    ],
    "act": [
        *[{"sigmoid": {}, "output": "out3"}, {"meanPooling": {"mask": "x3"}}, {"softmax": {}}],
        {"topK": {"k": 2}},
        python(*({"name": f"y{n}", "dataType": "BYTES", "shape": [1]} for n in range(16))),
    ],
}


def latency(**fields: Any) -> Json:
    return {"slo": {"latency": fields}}


def scheduled(**fields: Any) -> Json:
    event = {"cron": "0 9 * * *", "durationMinutes": 60, "minReplicas": 2}
    return {"scaling": {"schedule": [event | fields]}}


# What is wrong, the change that makes it so, and what kubectl prints of it.
BAD: list[tuple[str, Json, str]] = [
    (
        "no time at all",
        latency(thresholdMilliseconds=0),
        "spec.slo.latency.thresholdMilliseconds: Invalid value: 0:"
        " spec.slo.latency.thresholdMilliseconds in body should be greater than or equal to 1",
    ),
    (
        "a share that nobody keeps",
        latency(objectivePercent="100"),
        'spec.slo.latency.objectivePercent: Invalid value: "100": must be above 0 and below 100,'
        ' such as "99.9"; no service keeps 100',
    ),
    (
        "a share of nothing",
        latency(objectivePercent=0),
        "spec.slo.latency.objectivePercent: Invalid value: 0: must be above 0 and below 100",
    ),
    (
        "replicas without mode Manual",
        {"replicas": 3},
        "spec.replicas: Invalid value: only counts where the number is set by hand; set"
        " scaling.mode: Manual",
    ),
    (
        "mode Manual without replicas",
        {"scaling": {"mode": "Manual"}},
        "spec.replicas: Invalid value: must be set with scaling.mode: Manual; write how many, such"
        " as replicas: 1",
    ),
    (
        "fewer replicas than none",
        {"scaling": {"mode": "Manual"}, "replicas": -1},
        "spec.replicas: Invalid value: -1",
    ),
    (
        "an event that asks for more than the maximum",
        scheduled(minReplicas=11),
        "spec.scaling.schedule: Invalid value: must not ask for more minReplicas than maxReplicas",
    ),
    (
        "an event at a moment that no clock has",
        scheduled(cron="0 24 * * *"),
        'spec.scaling.schedule[0].cron: Invalid value: "0 24 * * *": must be a cron expression of'
        " five fields: write minute, hour",
    ),
    (
        "an event that takes no time",
        scheduled(durationMinutes=0),
        "spec.scaling.schedule[0].durationMinutes: Invalid value: 0",
    ),
    (
        "a time zone that can be none's name",
        scheduled(timeZone="../UTC"),
        "spec.scaling.schedule[0].timeZone: Invalid value",
    ),
    (
        "a batch of none",
        {"serving": {"maxBatchSize": 0}},
        "spec.serving.maxBatchSize: Invalid value: 0",
    ),
    (
        "a runtime that cannot be one's name",
        {"serving": {"runtime": "Triton 3"}},
        "spec.serving.runtime: Invalid value",
    ),
    (
        "no accelerator's name",
        {"serving": {"accelerator": {"resource": "a b"}}},
        "spec.serving.accelerator.resource: Invalid value",
    ),
    (
        "requests above the limits",
        {"build": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1024Mi"}}}},
        "spec.build.resources.requests: Invalid value",
    ),
    (
        "an amount that is none",
        {"serving": {"resources": {"limits": {"memory": "4 GB"}}}},
        "spec.serving.resources.limits.memory: Invalid value",
    ),
    (
        "an amount below none",
        {"build": {"resources": {"requests": {"cpu": -1}}}},
        "spec.build.resources.requests.cpu: Invalid value: -1",
    ),
    (
        "a toleration of everything with a value",
        {"serving": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        "spec.serving.tolerations[0].value: Invalid value",
    ),
    (
        "a variable twice",
        {"serving": {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
        'spec.serving.env[1]: Duplicate value: {"name":"A"}',
    ),
    (
        "a label that Kubernetes does not take",
        {"serving": {"podLabels": {"team": "shoes and more"}}},
        "spec.serving.podLabels.team: Invalid value",
    ),
    (
        "a build that may take for ever",
        {"build": {"timeoutMinutes": 0}},
        "spec.build.timeoutMinutes: Invalid value: 0",
    ),
    (
        "a strategy nobody knows",
        {"rollout": {"strategy": "Recreate"}},
        'spec.rollout.strategy: Unsupported value: "Recreate": supported values: "Rolling"',
    ),
    (
        "a field in the wrong place",
        {"maxBatchSize": 4},
        'unknown field "spec.maxBatchSize"',
    ),
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_refuses(kubectl: Kubectl, change: Json, message: str) -> None:
    assert message in refusal(kubectl, agent("bad", merged(SMALLEST, change)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("s" * 41, id="too long for a Service of its own"),
        pytest.param("3shoes", id="begins with a digit"),
        pytest.param("shoes.v2", id="has a dot"),
    ],
)
def test_refuses_a_name(kubectl: Kubectl, name: str) -> None:
    assert (
        "metadata.name must have at most 40 of a-z, 0-9 and '-', start with a letter and end with"
        " a letter or digit, since a Service is named after it; choose another name"
    ) in refusal(kubectl, agent(name, SMALLEST))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("smallest", SMALLEST, id="the smallest agent"),
        pytest.param("s" * 40, SMALLEST, id="the longest name"),
        pytest.param("full", FULL, id="an agent with every field"),
        pytest.param("labelled", SMALLEST | {"act": LABELLED}, id="as many labels as may be"),
        pytest.param("two-inputs", merged(SMALLEST, TWO_INPUTS), id="steps for each of two inputs"),
        pytest.param("wide", merged(SMALLEST, WIDE), id="scripts at both ends of many tensors"),
        *(
            pytest.param(
                f"source-{number}",
                merged(SMALLEST, source(uri=uri, sha256="9f" * 32)),
                id=f"a source at {uri}",
            )
            for number, uri in enumerate(
                (
                    "https://models.example:8443/shoes v3/net.onnx",
                    "s3://models.example/shoes/net.onnx",
                    "gs://models_of-us.example/shoes/net.onnx",
                    "az://models/shoes/net.onnx",
                    "hf://example/all-MiniLM-L6.v2@1110a243fdf4706b3f48f1d95db1a4f5529b4d41/a/m.onnx",
                    "oci://registry.example:5000/models/shoes_2:v3.1-rc/shoes.onnx",
                    f"oci://registry.example/shoes@sha256:{'9f' * 32}/deep/shoes.onnx",
                )
            )
        ),
    ],
)
def test_takes(kubectl: Kubectl, name: str, spec: Json) -> None:
    kubectl.apply(agent(name, spec))

    stored = kubectl.json("get", "dlagent", name)["spec"]
    assert spec == subset(stored, spec)
    # What the apiserver stores is what the operator reads.
    DLAgentSpec.model_validate(stored)


def test_every_field_of_the_spec_is_in_the_full_agent() -> None:
    """So that no field is in the schema that the apiserver was never seen to keep."""
    spec = DLAgentSpec.model_validate(FULL)
    parts = (spec, spec.model, spec.model.source, spec.build, spec.slo.latency, spec.rollout)
    for part in parts:
        assert set(type(part).model_fields) == part.model_fields_set, type(part).__name__
    # What serving has in common with build is seen there.
    assert set(Serving.model_fields) == spec.serving.model_fields_set | set(
        PodPlacement.model_fields
    )


def subset(stored: Any, wanted: Any) -> Any:
    """`stored` without what the apiserver added by default."""
    if isinstance(wanted, dict):
        return {key: subset(stored[key], value) for key, value in wanted.items() if key in stored}
    if isinstance(wanted, list):
        return [subset(item, given) for item, given in zip(stored, wanted, strict=True)]
    return stored


def test_scale_writes_replicas_in_mode_manual(kubectl: Kubectl) -> None:
    kubectl.apply(agent("manual", merged(SMALLEST, {"scaling": {"mode": "Manual"}, "replicas": 1})))

    kubectl("scale", "dlagent/manual", "--replicas=4")

    assert 4 == kubectl.json("get", "dlagent", "manual")["spec"]["replicas"]


def test_scale_is_refused_otherwise(kubectl: Kubectl) -> None:
    kubectl.apply(agent("automatic", SMALLEST))

    with pytest.raises(KubectlError, match=r"set scaling\.mode: Manual"):
        kubectl("scale", "dlagent/automatic", "--replicas=4")


def test_explain_describes_every_field(kubectl: Kubectl) -> None:
    def explained() -> str:
        return kubectl("explain", "dlagent.spec.slo.latency")

    text = eventually(explained, lambda text: "thresholdMilliseconds" in text, what="explain")
    assert "A request is good when it is answered within this time." in " ".join(text.split())


def test_get_all_shows_agents(kubectl: Kubectl) -> None:
    kubectl.apply(agent("among-all", SMALLEST))

    assert "dlagent.dlagent.io/among-all" in kubectl("get", "all")
