"""Passwords in URIs are removed from whatever is shown or written."""

import pickle

import pytest

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.passwords import masked, one_line, without_password, without_passwords

HIDDEN = [
    ("http://me:secret@host:5000/x", "http://host:5000/x"),
    ("https://secret@host", "https://host"),
    ("http://me:secret/secret#secret@host:5000", "http://host:5000"),
    ("http://me:secret@secret@host", "http://host"),
    ("postgresql+psycopg2://me:secret/secret?@host/db", "postgresql+psycopg2://host/db"),
    ("s3://key:secret@bucket/x", "s3://bucket/x"),
    ("simplecache::http://me:secret@host/x", "simplecache::http://host/x"),
    ("http://host/x?a=1&token=secret&b=2", "http://host/x?a=1&token=***&b=2"),
    ("https://host/x?X-Amz-Signature=secret/secret", "https://host/x?X-Amz-Signature=***"),
    ("mysql://host/db?password=secret&timeout=5", "mysql://host/db?password=***&timeout=5"),
    ("Cannot open (http://me:secret@host), see a@b", "Cannot open (http://host), see a@b"),
]
PLAIN = [
    *("http://host:5000/a@b", "http://host:5000", "postgresql://host:5432/db", "s3://bucket/x@y"),
    *("abfs://container@account.dfs.core.windows.net/x", "sftp://me@host/x", "/a:b@c/d?x=1"),
    *("sqlite:////a:b/c@d/mlflow.db?timeout=60", "memory://a/b", "no URI: a@b", ""),
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_passwords_are_removed(text: str, shown: str) -> None:
    assert without_password(text) == shown == without_password(shown)
    assert "secret" not in masked(text) and len(masked(text)) == len(text)


@pytest.mark.parametrize("text", PLAIN)
def test_texts_without_a_password_stay(text: str) -> None:
    assert without_password(text) == masked(text) == text


def test_nested_values_are_cleared() -> None:
    values = {"uri": ["http://me:secret@host", 1, None], "n": {"x": 0.5, "t": ("s3://a:b@c",)}}
    assert without_passwords(values) == {
        "uri": ["http://host", 1, None], "n": {"x": 0.5, "t": ["s3://c"]}
    }  # fmt: skip


@pytest.mark.parametrize("kind", [InputError, AccessError])
def test_no_error_for_users_holds_a_password(kind: type[InputError]) -> None:
    error = kind("Cannot read http://me:secret@host/x?token=secret (gone).")
    assert str(error) == "Cannot read http://host/x?token=*** (gone)."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_quoted_error_is_cleared_before_it_is_cut() -> None:
    assert one_line(ValueError("no\n  http://me:secret@host"))[:20] == "no http://host"
