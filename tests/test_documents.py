"""Documents name only what exists: links, files, importable names, options; README stays short."""

import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from jsonargparse import ArgumentParser

from hhmnet_platform.ablation.jobs import Phase1Ablation, Phase2Ablation
from hhmnet_platform.fusion.fixed_weights import FixedFusion
from hhmnet_platform.fusion.search_weights import FusionSearch
from hhmnet_platform.fusion.select_ensemble import EnsembleJob
from hhmnet_platform.pipeline import Pipeline
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.search.config import Phase1Search, Phase2Search
from hhmnet_platform.serving.evaluate import EvaluationJob
from hhmnet_platform.serving.export import ExportJob
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.server.job import ServeJob

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "cluster", "docs", "experiments", "hhmnet_core", "platform", "tests")
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("cluster/**/*.md")]
    if path.is_file()
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(rf"(?<![\w./*<-])(?:{'|'.join(FOLDERS)})/[\w./-]*\.(?:py|yaml|md|json)\b")
NAME = re.compile(r"\bhhmnet_(?:core|platform)(?:\.\w+)+")
IMPORT = re.compile(r"^from (hhmnet_\w+(?:\.\w+)*) import (.+)$", re.MULTILINE)
SCRIPT = re.compile(r"python (experiments/\w+\.py)")


@cache
def prose(path: Path) -> str:
    """Return a document without its fenced code, in which # is no heading and [] no link."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return frozenset(anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each)) for each in headings)


def is_importable(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    broken = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        exists = target.exists()
        if not exists or (heading and heading not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_named_files_exist(path: Path) -> None:
    text = path.read_text()
    names = {*FILE.findall(text), *SCRIPT.findall(text)}
    assert not [each for each in sorted(names) if not (ROOT / each).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_named_modules_and_attributes_can_be_imported(path: Path) -> None:
    text = path.read_text()
    names = set(NAME.findall(text))
    for module, imported in IMPORT.findall(text):
        names |= {f"{module}.{each.strip()}" for each in imported.split(",")}
    assert not [each for each in sorted(names) if not is_importable(each)]


def test_a_name_that_does_not_exist_is_found() -> None:
    """The check above can fail."""
    assert is_importable("hhmnet_core.errors.InputError")
    assert not is_importable("hhmnet_core.errors.OutputError")
    assert not is_importable("hhmnet_core.no_such_module")


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for link in LINK.findall(prose(path)):
            target = (path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                waiting.append(target)
    assert not [named(path) for path in DOCUMENTS if path not in reached]


def test_readme_is_short_and_its_results_table_too() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 100
    results = "\n".join(lines).split("## Results")[1].split("## ")[0]
    rows = [line for line in results.splitlines() if line.startswith("| ")]
    assert 1 <= len(rows) - 1 <= 5


@pytest.mark.parametrize("package", ["hhmnet_core", "platform/hhmnet_platform"])
def test_architecture_lists_every_package(package: str) -> None:
    entries = {
        path.stem
        for path in (ROOT / package).iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    chapter = (ROOT / "docs" / "architecture.md").read_text().split("## The packages")[1]
    table = chapter.split(f"**{Path(package).name}**")[1].split("\n\n")[1]
    listed = [
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert sorted(listed) == sorted(entries)


def test_decisions_are_listed_with_their_titles() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for path in sorted(folder.glob("0*.md")):
        number, _, title = path.read_text().splitlines()[0].removeprefix("# ").partition(": ")
        assert path.name.startswith(f"{number}-")
        assert f"| [{number}]({path.name}) | {title} |" in index


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        used = re.findall(r"(?:^|`)make ([a-z][\w-]*)", path.read_text(), re.MULTILINE)
        assert set(used) <= targets, path


def test_every_script_is_in_the_table_of_commands() -> None:
    commands = (ROOT / "README.md").read_text().split("## Commands")[1].split("## ")[0]
    scripts = sorted(path.name for path in (ROOT / "experiments").glob("*.py"))
    assert scripts
    assert not [script for script in scripts if f"`{script}" not in commands]


def script(name: str) -> ModuleType:
    """Return a script of experiments/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def help_of(name: str, command: str) -> str:
    """Return the help of a script, or of one of its subcommands."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    if name == "prepare":
        parser.add_function_arguments(script(name).commands()[command], as_group=False)
        return parser.format_help()
    kinds = {
        "phase1": Phase1Job,
        "phase2": Phase2Job,
        "pipeline": Pipeline,
        "search": {"fusion": FusionSearch, "phase2": Phase2Search}.get(command, Phase1Search),
        "fuse": FixedFusion,
        "ensemble": EnsembleJob,
        "export": ExportJob,
        "predict": PredictJob,
        "serve": ServeJob,
        "test": EvaluationJob,
        "ablate": Phase1Ablation,
        "ablate_phase2": Phase2Ablation,
    }
    parser.add_class_arguments(kinds[name])
    return parser.format_help()


def commands(path: Path) -> list[tuple[str, str, list[str]]]:
    """Return the calls of our scripts in a document's code: script, subcommand, options."""
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))
    calls = []
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for name, rest in re.findall(r"python experiments/(\w+)\.py(.*)", line):
            words = rest.partition(" #")[0].split()
            command = words[0] if words and not words[0].startswith("-") else ""
            options = [word.partition("=")[0] for word in words if word.startswith("--")]
            calls.append((name, command, options))
    return calls


@pytest.mark.parametrize("path", [each for each in DOCUMENTS if commands(each)], ids=named)
def test_options_of_quoted_commands_exist(path: Path) -> None:
    unknown = [
        (name, command, option)
        for name, command, options in commands(path)
        for option in options
        if not re.search(rf"{re.escape(option)}[\s,]", help_of(name, command))
    ]
    assert not unknown


CLUSTER_TEXTS = [*DOCUMENTS, *ROOT.glob("cluster/**/*.yaml")]


@pytest.mark.parametrize("path", CLUSTER_TEXTS, ids=named)
def test_no_text_leads_to_a_cluster_without_a_token(path: Path) -> None:
    """Ray asks for a token only where one was made before: it comes first, and closed to others."""
    text = path.read_text()
    started = re.search(r"^#? *(ray start --head|.*ray up \w+\.yaml)", text, re.MULTILINE)
    if started:
        made = "ray get-auth-token --generate && chmod 600 ~/.ray/auth_token"
        assert made in text[: started.start()]
