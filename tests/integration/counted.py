"""What a running Triton has counted of its batches, as the operator reads it."""

import asyncio
import time

from dlagent.adapters.batch_statistics import TritonStatistics
from dlagent.domain.scaling.batch_counts import BatchCounts
from dlagent_local import standalone
from harness import eventually


def settled_counts(server: standalone.Triton) -> BatchCounts:
    """Once all that was answered is counted: Triton does so after it has answered."""
    seen: list[BatchCounts] = []

    def again() -> bool:
        seen.append(counts(server))
        return len(seen) > 1 and seen[-1].models == seen[-2].models

    eventually(again)
    return seen[-1]


def counts(server: standalone.Triton) -> BatchCounts:
    async def ask() -> object:
        statistics = TritonStatistics(server.http_port)
        try:
            return await statistics.batch_counts("pod", "127.0.0.1", time.time())
        finally:
            await statistics.close()

    found = asyncio.run(ask())
    assert isinstance(found, BatchCounts)
    return found
