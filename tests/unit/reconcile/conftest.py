"""A fake cluster and an operator on it, for each test."""

import pytest

from tests.unit.reconcile.fake import FakeCluster
from tests.unit.reconcile.load import FakeMetrics
from tests.unit.reconcile.operator_process import Operator
from tests.unit.reconcile.world import World


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def operator(cluster: FakeCluster) -> Operator:
    return Operator(cluster)


@pytest.fixture
def world(cluster: FakeCluster) -> World:
    metrics = FakeMetrics(cluster)
    return World(cluster, metrics, Operator(cluster, metrics=metrics))
