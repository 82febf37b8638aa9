"""Errors of command lines and config files."""

import pytest

from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.scripts.messages import unknown_option, wrong_value
from hhmnet_platform.scripts.options import options_of


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("--lr", "--optim.lr?"),
        ("--frames", "--data.frames?"),
        ("--epoch", "--optim.epochs?"),
        ("--batch-size", "--optim.batch?"),
        ("--num-workers", "--workers or --log_workers?"),
        ("--dry", "--dry_run?"),
        ("--optim.learning", "--optim.lr?"),
        ("--nonsense", "."),
        ("--wokers", "--workers or --log_workers?"),
        ("--optim.warm-up", "--optim.warmup?"),
        ("--temperature", "--contrast.temperature"),
    ],
)
def test_an_unknown_option_is_told_with_what_was_perhaps_meant(written: str, meant: str) -> None:
    message = str(unknown_option(written, options_of(Phase1Job), "hhmnet train phase1"))
    start = f"There is no option {written}"
    assert message.startswith(start + (meant if meant == "." else ": did you mean "))
    assert meant in message and message.endswith("See `hhmnet train phase1 --help`.")


def test_an_unknown_key_is_told_with_its_place() -> None:
    message = str(unknown_option("lr", options_of(Phase1Job), "made", "the config file a.yaml"))
    assert message == (
        "Unknown key lr in the config file a.yaml: did you mean optim.lr? See `made --help`."
    )


def test_a_wrong_value_is_told_with_its_place() -> None:
    option = options_of(Phase1Job).by_name["model.widths"]
    assert str(wrong_value(option, "x")) == (
        "--model.widths is 'x', expected a list of whole numbers, such as --model.widths 16 32."
    )
    assert str(wrong_value(option, {"a": 1}, "a.yaml")) == (
        "model.widths in the config file a.yaml is '{\"a\": 1}', expected a list of whole numbers, "
        "such as widths: [16, 32]."
    )


def test_a_list_is_told_as_it_was_given() -> None:
    option = options_of(Phase1Job).by_name["model.branches"]
    assert str(wrong_value(option, '[[3], "x"]')) == (
        "--model.branches is '[3] x', expected a list of pairs, such as --model.branches '[3,1]' "
        "'[5,1]'."
    )
    assert str(wrong_value(option, [3, 1], "a.yaml")) == (
        "model.branches in the config file a.yaml is '[3, 1]', expected a list of pairs, such as "
        "branches: [[3,1], [5,1]]."
    )
