"""`python -m dlagent.api.generate [--check]`: the files that are made from the API types.

Run from the repository's root by `make generate`; with --check it writes nothing and fails where a
file is not what it would write.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from dlagent.api.crd import custom_resource_definition
from dlagent.api.reference import reference

_NOTE = "# Generated from operator/dlagent/api by `make generate`; do not edit.\n"
_CHART = "charts/dlagent-operator/templates/crd.yaml"


def files() -> Iterator[tuple[Path, str]]:
    """Each generated file, relative to the root, and its text."""
    crd = custom_resource_definition()
    yield Path("crds/dlagents.yaml"), _NOTE + _yaml(crd)
    crd["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    # Text in which Helm would see a template: none so far, and the check keeps it so.
    text = _yaml(crd)
    if "{{" in text:
        raise ValueError("the CRD contains {{, which Helm would take for a template")
    yield Path(_CHART), f"{_NOTE}{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"
    yield Path("docs/reference/dlagent.md"), reference()


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where --check finds a difference."""
    return update(files(), "the API types say", check=arguments == ["--check"])


def update(wanted: Iterable[tuple[Path, str]], origin: str, check: bool) -> int:
    """Write the files that are not as wanted, or with `check` only name them and return 1."""
    changed = [(path, text) for path, text in wanted if not _is_current(path, text)]
    for path, text in changed:
        if check:
            print(f"{path} is not what {origin}: run `make generate`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and changed else 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


class _Dumper(yaml.SafeDumper):
    """Without anchors: the same list twice is written twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _yaml(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
