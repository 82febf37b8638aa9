"""A search whose study is kept in PostgreSQL: it continues there, and its password stays hidden."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import pytest
import yaml
from postgresql import PASSWORD, USER, postgresql, why_not
from processes import Starter

from hhmnet_platform.search.storage import open_storage

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
SPACE = {"optim.lr": {"low": 0.001, "high": 0.004}}


@pytest.fixture(scope="module")
def server(starter: Starter) -> Iterator[str]:
    with postgresql(starter) as address:
        yield address


def url(address: str, password: str) -> str:
    return f"postgresql://{USER}:{quote(password, safe='')}@{address}"


@pytest.fixture
def search(
    run_script: Callable[..., Any],
    phase1_arguments: Callable[..., tuple[str, ...]],
    server: str,
    tmp_path: Path,
) -> Callable[..., Any]:
    recipe = tmp_path / "search.yaml"
    recipe.write_text(yaml.safe_dump({"study": "tiny", "grace": 1, "space": SPACE}))

    def run(password: str, *more: str) -> Any:
        arguments = phase1_arguments(tmp_path / "workspace", "--workers=1", "--optim.epochs=2")
        storage = f"--storage={url(server, password)}"
        return run_script("search.py", f"--config={recipe}", *arguments, storage, *more)

    return run


def test_search_in_a_database_continues_and_hides_its_password(
    search: Callable[..., Any], server: str, tmp_path: Path
) -> None:
    outputs = []
    for trials, left in ((2, 2), (3, 1)):
        process = search(PASSWORD, f"--trials={trials}")
        assert process.finish() == 0, process.output
        assert f"search tiny: {left} of {trials} trials are left" in process.output
        outputs.append(process.output)
    backend = open_storage(url(server, PASSWORD), tmp_path).backend
    finished = optuna.load_study(study_name="tiny", storage=backend).trials
    assert [trial.state.name for trial in finished] == ["COMPLETE"] * 3
    assert all({"epochs", "seconds", "run"} <= set(trial.user_attrs) for trial in finished)
    workspace = tmp_path / "workspace"
    assert (workspace / "searches" / "tiny" / "best.yaml").exists()
    assert not (workspace / "searches" / "tiny" / "study.journal").exists()
    written = {str(p): p.read_bytes() for p in workspace.rglob("*") if p.is_file()}
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert all(secret not in output for output in outputs)
        assert [name for name, content in written.items() if secret.encode() in content] == []


def test_wrong_password_is_one_line(search: Callable[..., Any]) -> None:
    process = search("another")
    assert process.finish() == 2, process.output
    (line,) = [each for each in process.output.splitlines() if each.startswith("error: ")]
    assert "cannot be opened" in line and "password authentication failed" in line
    assert "another@" not in line
