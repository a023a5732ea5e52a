"""Labels, annotations and names that the operator, its children, the loader and the CLI share."""

FIELD_MANAGER = "dlagent-operator"
SCALER_FIELD_MANAGER = "dlagent-scaler"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "dlagent-operator"
COMPONENT_LABEL = "app.kubernetes.io/component"  # serving | build | store
PART_OF_LABEL = "app.kubernetes.io/part-of"
NAME_LABEL = "dlagent.io/name"  # the agent
REVISION_LABEL = "dlagent.io/revision"
BUILD_LABEL = "dlagent.io/build"  # the build's id
ARTIFACT_LABEL = "dlagent.io/artifact"  # the first 16 characters of the artifact's key
NETWORK_LABEL = "dlagent.io/network"  # on build pods: which policy lets them out
NETWORK_SOURCES = "sources"

RETRY_ANNOTATION = "dlagent.io/retry"  # on a DLAgent: any new value tries a failed build again
RESTARTED_AT_ANNOTATION = "dlagent.io/restartedAt"  # on a DLAgent: any new value rolls it anew
TEMPLATE_VERSION_ANNOTATION = "dlagent.io/template-version"  # on a Deployment: who rendered it

STORE_NAME = "dlagent-artifacts"  # the PersistentVolumeClaim of a namespace's store
