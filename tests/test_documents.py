"""Documents name only what exists: links, files, importable names, options; README stays short."""

import importlib
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from hhmnet_platform.commands.table import ALIASES, COMMANDS, DEFAULTS, GROUPS
from hhmnet_platform.scripts.options import options_of

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
CALL = re.compile(
    r"(?:^(?:\$ |[A-Z_]+=\S* )*(?=hhmnet)|(?=python))((?:hhmnet|python experiments/\w+\.py)\b.*)"
)
SCRIPTS = {
    path.stem: re.findall(r'run\("(.*)"\)', path.read_text())[0]
    for path in (ROOT / "experiments").glob("*.py")
}


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


def test_every_command_is_in_the_table_of_commands() -> None:
    table = (ROOT / "README.md").read_text().split("## Commands")[1].split("## ")[0]
    listed = [words for words in COMMANDS if not words.startswith("prepare ")]
    assert not [words for words in listed if f"`hhmnet {words}" not in table]
    assert "`hhmnet prepare SOURCE`" in table


def calls(text: str) -> list[tuple[str, list[str]]]:
    """Return the calls of `hhmnet` in a text's code: each its line, and the words after it."""
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    found = []
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for called in CALL.findall(line):
            try:
                words = shlex.split(called, comments=True)
            except ValueError:  # a quote that ends on another line
                words = called.split()
            if words[0] == "python":
                words = [*SCRIPTS[Path(words[1]).stem].split(), *words[2:]]
            else:
                words = words[1:]
            found.append((called, words))
    return found


@pytest.mark.parametrize("path", [each for each in DOCUMENTS if calls(each.read_text())], ids=named)
def test_quoted_commands_and_their_options_exist(path: Path) -> None:
    wrong = []
    for called, words in calls(path.read_text()):
        given = [word.partition("=")[0] for word in words if word.startswith("--")]
        first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
        command = " ".join(words[:first])
        command = DEFAULTS.get(command, ALIASES.get(command, command))
        if command in COMMANDS:
            options = options_of(COMMANDS[command].load()[0])
            known = {*options.by_name, *options.groups, "config", "print_config", "help"}
        elif command in ("", *GROUPS):
            known = {"help", "version"}
        else:
            wrong.append(called)
            continue
        wrong += [f"{called}: {name}" for name in given if name[2:].replace("-", "_") not in known]
    assert not wrong


def test_calls_are_found_in_code() -> None:
    """The check above can fail."""
    code = "hhmnet train phase1 --a b  # --c\npython experiments/search.py fusion --x=1"
    text = f"```bash\n{code}\n```\n"
    assert [words for _, words in calls(text)] == [
        ["train", "phase1", "--a", "b"], ["search", "fusion", "--x=1"],
    ]  # fmt: skip


CLUSTER_TEXTS = [*DOCUMENTS, *ROOT.glob("cluster/**/*.yaml")]


@pytest.mark.parametrize("path", CLUSTER_TEXTS, ids=named)
def test_no_text_leads_to_a_cluster_without_a_token(path: Path) -> None:
    """Ray asks for a token only where one was made before: it comes first, and closed to others."""
    text = path.read_text()
    started = re.search(r"^#? *(ray start --head|.*ray up \w+\.yaml)", text, re.MULTILINE)
    if started:
        made = "ray get-auth-token --generate && chmod 600 ~/.ray/auth_token"
        assert made in text[: started.start()]
