"""Where the token comes from, and what it opens."""

import os
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.server.tokens import Token, choose_token, is_loopback

GIVEN = "0123456789abcdef-given"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert is_loopback(host) and choose_token(host, "") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "server.example", "127.0.0.1.a"])
def test_another_host_gets_one_that_is_new_each_time(host: str) -> None:
    one, other = choose_token(host, ""), choose_token(host, "")
    assert one is not None and other is not None
    assert one.is_made and len(one.value) >= 32 and one.value != other.value


def test_the_environment_gives_one_and_no_child_inherits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HHMNET_SERVE_TOKEN", GIVEN)
    assert choose_token("127.0.0.1", "") == Token(GIVEN)
    assert "HHMNET_SERVE_TOKEN" not in os.environ


def test_a_file_gives_one_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_SERVE_TOKEN", "of-the-environment-0")
    (tmp_path / "token").write_text(f"{GIVEN}\nanother line\n")
    assert choose_token("0.0.0.0", str(tmp_path / "token")) == Token(GIVEN)
    assert "HHMNET_SERVE_TOKEN" not in os.environ


@pytest.mark.parametrize(
    "text", ["", "short", "with a blank in it 1", "ümlaute-im-token-1234", "a\tb" * 9]
)
def test_tokens_that_are_refused_are_not_shown(text: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(InputError, match=r"The token in .* expected 16 or more") as caught:
        choose_token("127.0.0.1", str(tmp_path / "token"))
    assert not text or text not in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no token file"):
        choose_token("127.0.0.1", str(tmp_path / "token"))
    (tmp_path / "token").write_bytes(b"\xff\xfe\xff\xfe")
    with pytest.raises(InputError, match="is not text"):
        choose_token("127.0.0.1", str(tmp_path / "token"))


@pytest.mark.parametrize(
    ("header", "opens"),
    [
        (f"Bearer {GIVEN}", True),
        (f"bearer {GIVEN} ", True),
        (GIVEN, False),
        (f"Basic {GIVEN}", False),
        (f"Bearer {GIVEN}x", False),
        (f"Bearer {GIVEN[:-1]}", False),
        ("Bearer", False),
        ("Bearer ü", False),
        ("", False),
    ],
)
def test_only_the_whole_token_opens(header: str, opens: bool) -> None:
    assert Token(GIVEN).opens(header) is opens
