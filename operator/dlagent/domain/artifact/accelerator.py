"""Which accelerator an agent's pods get, as far as its spec says so. Pure."""

from dlagent.api.types import DLAgentSpec, PodPlacement
from dlagent.domain.artifact.engine import CPU
from dlagent.domain.artifact.request import Target

# Labels of nodes that say what accelerator a node has: NVIDIA's GPU feature discovery, GKE, EKS,
# Karpenter; and the type of a machine, which has one kind.
PRODUCT_LABELS = (
    "nvidia.com/gpu.product",
    "cloud.google.com/gke-accelerator",
    "eks.amazonaws.com/instance-gpu-name",
    "karpenter.k8s.aws/instance-gpu-name",
    "node.kubernetes.io/instance-type",
)


def target_of(spec: DLAgentSpec, profile: Target, image: str) -> Target:
    """What an agent's artifact is built for: what its replicas have, with the profile's Triton.

    The profile names the accelerator where one is simulated, or where it is to be called otherwise
    than by its resource. `image` is the profile's.
    """
    wanted = spec.serving.accelerator
    accelerator = profile.accelerator
    if wanted is None and profile.simulated is None:
        accelerator = CPU
    elif wanted is not None and accelerator == CPU:
        accelerator = wanted.resource
    update: dict[str, str | None] = {"accelerator": accelerator}
    product = accelerator_product(spec)
    if wanted is not None and product is not None and profile.simulated is None:
        # A part of a GPU is another resource of the same product.
        whole = product if accelerator == wanted.resource else f"{product}, {wanted.resource}"
        update |= {"accelerator_product": whole, "runtime_image": image}
    return profile.model_copy(update=update)


def build_placement(spec: DLAgentSpec, simulated: bool) -> PodPlacement:
    """Where a build runs: it measures on the accelerator, so where replicas do unless told else."""
    build, serving = spec.build, spec.serving
    if serving.accelerator is None or simulated:
        return build
    fields = ("node_selector", "tolerations", "runtime_class_name")
    missing = [field for field in fields if getattr(build, field) is None]
    return build.model_copy(update={field: getattr(serving, field) for field in missing})


def accelerator_product(spec: DLAgentSpec) -> str | None:
    """The kind of accelerator that all replicas and the build have; None where it may differ."""
    if spec.serving.accelerator is None:
        return None
    replicas = spec.serving.node_selector or {}
    build = build_placement(spec, simulated=False).node_selector or {}
    label = next((label for label in PRODUCT_LABELS if label in replicas), None)
    if label is None or build.get(label) != replicas[label]:
        return None
    return replicas[label]
