"""The self-check of one serving pod over Triton's HTTP.

Fits `reconcile.ports.Inference` by shape. The pod is asked by its own address: it must prove itself
before a Service sends anybody there.
"""

import asyncio

import aiohttp
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferInput,
    InferRequestedOutput,
)
from tritonclient.http.aio import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
)
from tritonclient.utils import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerException,
)

from dlagent.domain.artifact.selfcheck import SelfCheck, compare, golden_input
from dlagent.domain.status.errors import PodUnreachable

PORT = 8000
SECONDS = 20.0


class TritonInference:
    """Asks Triton on `port` of a pod, for at most `seconds` a check."""

    def __init__(self, port: int = PORT, seconds: float = SECONDS) -> None:
        self._port = port
        self._seconds = seconds

    async def self_check(self, pod_ip: str, agent: str, check: SelfCheck) -> str | None:
        """Ask the golden input; None where the golden output came back, else what differs.

        Raises:
            PodUnreachable: no answer came, or none that Triton gave.
        """
        host = f"[{pod_ip}]" if ":" in pod_ip else pod_ip
        client = InferenceServerClient(f"{host}:{self._port}", conn_timeout=self._seconds)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await client.infer(
                    agent,
                    [_input(check, index) for index in range(len(check.inputs))],
                    outputs=[InferRequestedOutput(output.name) for output in check.outputs],
                )
        except InferenceServerException as error:
            if _is_passing(error):
                raise PodUnreachable(f"{pod_ip}: {error.message()}") from error
            return f"Triton refused the golden input: {error.message()}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PodUnreachable(f"{pod_ip}: {type(error).__name__}: {error}") from error
        finally:
            await client.close()
        values = {output.name: answer.as_numpy(output.name) for output in check.outputs}
        return compare(check, {name: value for name, value in values.items() if value is not None})


def _is_passing(error: InferenceServerException) -> bool:
    """Triton says so while it loads, unloads or exits; a model that never comes has a deadline.

    Of a request that it refuses it says 400; what else there is comes from something before it.
    """
    return str(error.status()) != "400" or "unknown model" in error.message()


def _input(check: SelfCheck, index: int) -> InferInput:
    tensor = check.inputs[index]
    given = InferInput(tensor.name, tensor.shape, tensor.data_type.value)
    given.set_data_from_numpy(golden_input(check.seed, tensor))
    return given
