"""What `make generate` writes, and that a difference is found."""

from pathlib import Path

import pytest
import yaml

from dlagent.api import generate


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_the_crd_the_charts_copy_and_the_reference(empty: Path) -> None:
    assert 0 == generate.main([])

    crd = yaml.safe_load((empty / "crds/dlagents.yaml").read_text())
    assert "dlagents.dlagent.io" == crd["metadata"]["name"]
    copy = (empty / "charts/dlagent-operator/templates/crd.yaml").read_text()
    assert "{{- if .Values.crds.install }}" in copy
    page = (empty / "docs/reference/dlagent.md").read_text()
    assert "`spec.slo.latency.thresholdMilliseconds`" in page


def test_a_check_finds_what_was_edited_and_leaves_it(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.main([])
    assert 0 == generate.main(["--check"])
    crd = empty / "crds/dlagents.yaml"
    crd.write_text("edited")

    assert 1 == generate.main(["--check"])

    assert "crds/dlagents.yaml is not what the API types say" in capsys.readouterr().err
    assert "edited" == crd.read_text()
