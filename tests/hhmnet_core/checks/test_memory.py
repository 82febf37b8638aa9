"""The limit of memory for one file."""

import pytest

from hhmnet_core.checks import memory
from hhmnet_core.checks.memory import MAX_FILE_MEMORY, check_file_memory, check_free_memory
from hhmnet_core.errors import AccessError, InputError


def test_more_than_the_limit_is_refused_with_both_sizes() -> None:
    check_file_memory(1 << 20, "a.npz")
    with pytest.raises(
        InputError, match=r"a.npz would need 4,398.0 GB .* limit .* 4.3 GB"
    ) as error:
        check_file_memory(1 << 42, "a.npz")
    assert not isinstance(error.value, AccessError)
    with pytest.raises(InputError, match=r"9,223,372,036\.9 GB"):
        check_file_memory(10**400, "a.npz")


def test_more_than_is_free_tells_nothing_about_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_host_memory", lambda: 10**9)
    with pytest.raises(
        AccessError, match=r"a.npz would need 2.0 GB of memory, but 1.0 GB are free"
    ):
        check_file_memory(2 * 10**9, "a.npz")
    with pytest.raises(AccessError):
        check_free_memory(2 * MAX_FILE_MEMORY, "a.npz")
