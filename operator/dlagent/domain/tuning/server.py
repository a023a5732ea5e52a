"""How a build and the Triton that it measures on find each other: by a socket in a shared folder.

dlagent.manifests.trial_server starts Triton so, dlagent.adapters.trial_server asks it.
"""

from pathlib import PurePath

_SOCKET = "triton"
_PORT = 8001


def socket_arguments(folder: PurePath) -> list[str]:
    """Triton's command line: this folder is the repository, the socket is in it, and no network.

    Triton puts a colon and the port behind every address; of a socket they become a part of the
    path.
    """
    return [
        f"--model-repository={folder}",
        "--model-control-mode=explicit",
        "--allow-http=false",
        "--allow-metrics=false",
        f"--grpc-address=unix:{folder / _SOCKET}",
        f"--grpc-port={_PORT}",
    ]


def socket_address(folder: PurePath) -> str:
    """The address of that Triton, for a gRPC client."""
    return f"unix:{folder / _SOCKET}:{_PORT}"
