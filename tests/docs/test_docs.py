"""The documentation keeps its word: links lead somewhere, agents parse, commands exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dlagent.api.conditions import Reason
from dlagent.api.types import KIND, DLAgentSpec
from dlagent.domain.artifact.summary import FailureReason
from dlagent.runtime.settings import Settings, SettingsModel

REPOSITORY = Path(__file__).parents[2]
FOLDERS = ("docs", "examples", "benchmarks")
GENERATED = {REPOSITORY / "docs/reference" / name for name in ("dlagent.md", "report.md")}
PAGES = [
    REPOSITORY / "README.md",
    *sorted(
        page
        for folder in FOLDERS
        for page in (REPOSITORY / folder).rglob("*.md")
        if page not in GENERATED
    ),
]
GOOD_REASONS = {
    Reason.SERVING,
    Reason.SERVING_PREVIOUS,
    Reason.BUILT,
    Reason.CACHED,
    Reason.MET,
    Reason.ACTIVE,
    Reason.WITHIN_LIMITS,
}
# Beside dlagent: programs that a reader has, or that a page tells them to get.
PROGRAMS = {
    "cat",
    "curl",
    "echo",
    "export",
    "helm",
    "kubectl",
    "make",
    "python",
    "sha256sum",
    "URL",
}


def each_page() -> pytest.MarkDecorator:
    ids = [str(page.relative_to(REPOSITORY)) for page in PAGES]
    return pytest.mark.parametrize("page", PAGES, ids=ids)


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(
        rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return [str(text) for text in found]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command that a page shows after `$ `."""
    for block in blocks(page, "console"):
        joined = block.replace("\\\n", " ")
        for line in joined.splitlines():
            if line.strip().startswith("$ "):
                text = line.strip()[2:].split(" # ")[0].split("<<")[0].split(" -d '")[0]
                words = shlex.split(text.replace("'cat > ", "'cat "), comments=True)
                while words and "=" in words[0] and not words[0].startswith("URL="):
                    words.pop(0)
                yield words


@each_page()
def test_links_resolve(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def anchors(page: Path) -> set[str]:
    """What #... can name in a page, as GitHub makes it of the headings."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in plain}


@each_page()
def test_anchors_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text())
    inside = [(page.parent / path if path else page, anchor) for path, anchor in links]
    missing = [anchor for target, anchor in inside if anchor not in anchors(target)]
    assert missing == []


@each_page()
def test_agents_in_the_text_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        for document in yaml.safe_load_all(block):
            assert_valid(document)


@pytest.mark.parametrize("manifest", sorted((REPOSITORY / "examples").rglob("*.yaml")), ids=str)
def test_example_agents_are_valid(manifest: Path) -> None:
    for document in yaml.safe_load_all(manifest.read_text()):
        assert_valid(document)


def assert_valid(document: dict[str, object]) -> None:
    """The API types take it, and know every field of it: an ignored one is misspelt."""
    assert document["kind"] == KIND
    given = document["spec"]
    parsed = DLAgentSpec.model_validate(given)
    kept = parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert kept == given


def test_the_readme_shows_the_example_as_it_is() -> None:
    (shown,) = blocks(REPOSITORY / "README.md", "yaml")
    example = REPOSITORY / "examples/fashion_mnist/agent.yaml"
    assert yaml.safe_load(shown) == yaml.safe_load(example.read_text())


@each_page()
def test_programs_named_exist(page: Path) -> None:
    for words in commands(page):
        program = words[0].split("=")[0]
        assert program in PROGRAMS | {"dlagent"}, words


def make_targets() -> set[str]:
    text = (REPOSITORY / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@each_page()
def test_make_targets_exist(page: Path) -> None:
    named = {word for words in commands(page) if words[0] == "make" for word in words[1:2]}
    named |= set(re.findall(r"`(?:KUBECONFIG=\S+ )?make ([a-z-]+)[ `]", page.read_text()))
    assert named <= make_targets()


@each_page()
def test_python_modules_exist(page: Path) -> None:
    for words in commands(page):
        if words[:2] == ["python", "-m"]:
            path = Path(*words[2].split("."))
            roots = (REPOSITORY, REPOSITORY / "operator", REPOSITORY / "local")
            assert any((root / path).with_suffix(".py").exists() for root in roots), words


def dlagent_commands() -> list[tuple[str, ...]]:
    """Every `dlagent ...` in any page, down to its subcommand, with its options."""
    found = set()
    for page in PAGES:
        shown = [words for words in commands(page) if words[0] == "dlagent"]
        inline = re.findall(r"`(dlagent [a-z][^`]*)`", page.read_text())
        for words in [*shown, *map(shlex.split, inline)]:
            depth = 3 if words[1] in ("local", "artifacts") else 2
            options = [w.split("=")[0] for w in words[depth:] if w.startswith("-")]
            found.add((*words[1:depth], *options))
    return sorted(found)


@pytest.mark.parametrize("words", dlagent_commands(), ids=" ".join)
def test_dlagent_commands_exist(words: tuple[str, ...]) -> None:
    command = [word for word in words if not word.startswith("-")]
    done = subprocess.run(
        [sys.executable, "-m", "dlagent.cli.main", *command, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": f"{REPOSITORY}/operator:{REPOSITORY}/local", "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    for option in words[len(command) :]:
        assert re.search(rf"{option}\b", done.stdout), option


def test_every_reason_is_explained() -> None:
    page = (REPOSITORY / "docs/how-to/not-ready.md").read_text()
    explained = set(re.findall(r"^\| (\w+) \|", page, re.MULTILINE)) - {"reason"}
    reasons = {str(r) for r in Reason} | {str(r) for r in FailureReason}
    assert reasons - explained == {str(r) for r in GOOD_REASONS}


def settings_keys(model: type[SettingsModel]) -> Iterator[str]:
    """The names of all settings, without the paths to them."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, SettingsModel):
                yield from settings_keys(inner)


def test_every_setting_is_explained() -> None:
    page = (REPOSITORY / "docs/reference/settings.md").read_text()
    explained = {word for code in re.findall(r"`([\w.]+)`", page) for word in code.split(".")}
    assert set(settings_keys(Settings)) - explained == set()


def test_every_metric_is_explained() -> None:
    page = (REPOSITORY / "docs/reference/metrics.md").read_text()
    explained = set(re.findall(r"`(dlagent_\w+)`", page))
    code = "".join(
        file.read_text() for file in (REPOSITORY / "operator/dlagent/runtime").glob("*.py")
    )
    names = set(re.findall(r'"(dlagent_\w+)"', code))
    assert {name.removesuffix("_total") for name in names} == {
        name.removesuffix("_total") for name in explained
    }


def test_layout_names_every_package() -> None:
    page = (REPOSITORY / "docs/explanation/layout.md").read_text()
    packages = {
        path.parent.name for path in (REPOSITORY / "operator/dlagent").glob("*/__init__.py")
    }
    assert {name for name in packages if f"    {name}/ " not in page} == set()


def test_layout_names_what_is_there() -> None:
    page = (REPOSITORY / "docs/explanation/layout.md").read_text()
    named = re.findall(r"\| `((?:domain|build|load)/[\w/.]*)` \|", page)
    assert named
    assert [n for n in named if not (REPOSITORY / "operator/dlagent" / n).exists()] == []
