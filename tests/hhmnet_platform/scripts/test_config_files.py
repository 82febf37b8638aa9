"""Config files; `test_cli.py` has their errors, as a command line shows them."""

from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.scripts.config_files import read_config, read_group
from hhmnet_platform.scripts.options import options_of

OPTIONS = options_of(Phase1Job)


def test_values_are_named_by_their_options(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("seed: 3\noptim: {lr: 0.5}\ndata.store: here\nworkers: 2:8\n")
    assert read_config(str(file), OPTIONS, "made") == {
        "seed": 3, "optim.lr": 0.5, "data.store": "here", "workers": "2:8",
    }  # fmt: skip
    file.write_text("# nothing\n")
    with pytest.raises(InputError, match=r"a\.yaml holds no options: expected YAML lines"):
        read_config(str(file), OPTIONS, "made")


def test_a_group_on_the_command_line_is_read_as_a_mapping_or_left_to_the_parser() -> None:
    assert read_group("optim", "{lr: 0.5}", OPTIONS, "made") == {"optim.lr": 0.5}
    assert read_group("optim", "a.yaml", OPTIONS, "made") == {}
    assert read_group("optim", "{lr: [", OPTIONS, "made") == {}
    with pytest.raises(InputError, match=r"Unknown key optim\.l in --optim"):
        read_group("optim", "{l: 0.5}", OPTIONS, "made")
