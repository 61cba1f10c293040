"""Which schemas the embedded cloud has."""

from __future__ import annotations

import pytest

from rehearsal.simulator.kubernetes.schema import Schemas, schemas


@pytest.mark.parametrize("version", ["1.34", "1.35"])
def test_both_kubernetes_versions_of_the_window_have_schemas(version: str) -> None:
    assert schemas(version).knows("apps/v1", "DaemonSet")


def test_a_kubernetes_version_without_schemas_is_named() -> None:
    with pytest.raises(ValueError, match=r"no schemas of Kubernetes 1\.99"):
        Schemas("1.99")
