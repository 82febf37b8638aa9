"""Faults of the machine: the judgement of a command that met one."""

from faults.hosts import SIZES, UNREADABLE, host_cases, judge_refusal
from faults.kills import TARGETS


def test_refusals_are_judged() -> None:
    words = ("No space left",)
    assert judge_refusal(2, "error: Cannot write x (No space left on device).\n", words)[0] == (
        "refused"
    )
    assert judge_refusal(2, "error: It failed.\n", words)[0] == "unclear"
    assert judge_refusal(0, "done\n", words)[0] == "unclear"
    output = "Traceback (most recent call last):\nOSError: No space left\n"
    assert judge_refusal(1, output, words) == ("traceback", "OSError: No space left")


def test_cases_are_of_known_commands() -> None:
    assert {*SIZES, *UNREADABLE} <= set(TARGETS)
    assert {case.fault for case in host_cases(full=False)} == {
        case.fault for case in host_cases(full=True)
    }
