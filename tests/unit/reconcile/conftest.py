"""A fake cluster and an operator on it, for each test."""

import pytest

from tests.unit.reconcile.fake import FakeCluster, Operator


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def operator(cluster: FakeCluster) -> Operator:
    return Operator(cluster)
