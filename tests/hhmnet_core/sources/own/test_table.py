"""The CSV table of a user's own data, and a message for every mistake in it."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.sources.own.table import ClipRow, parse_table

HEAD = "sample_id,label,subject,skeleton"
GOOD = ("a,wave,1,a.npy", "b,clap,2,a.npy")


def table(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join((head, *rows, "")).encode()


def test_names_are_numbered_in_their_order() -> None:
    rows = ("c3,wave,anna,c.npy", "c1,wave,anna,a.npy", "c2,clap,bob,b.npy")
    parsed = parse_table(table(*rows), "t.csv")
    assert parsed.class_names == ("clap", "wave") and not parsed.has_video
    assert list(parsed.rows.items()) == [
        ("c1", ClipRow(1, 1, 1, 0, "a.npy", "")),
        ("c2", ClipRow(0, 2, 1, 0, "b.npy", "")),
        ("c3", ClipRow(1, 1, 1, 0, "c.npy", "")),
    ]


def test_numbers_are_kept_and_sorted_as_numbers() -> None:
    head = "split,sample_id,label,subject,skeleton,camera"
    rows = ("train,a,10,7,a.npy,3", "test,b,9,12,a.npy,1")
    parsed = parse_table(table(*rows, head=head), "t.csv")
    assert parsed.class_names == ("9", "10")
    assert parsed.rows == {
        "a": ClipRow(1, 7, 3, 0, "a.npy", "", "train"),
        "b": ClipRow(0, 12, 1, 1, "a.npy", "", "test"),
    }


def test_column_split_is_the_protocol() -> None:
    rows = ("a,wave,1,a.npy,train", "b,clap,1,a.npy,test")
    parsed = parse_table(table(*rows, head=HEAD + ",split"), "t.csv")
    (rule,) = parsed.protocols.values()
    assert list(parsed.protocols) == ["given"] and not parsed.notes
    assert (rule.train, rule.test) == ({"setup": [0]}, {"setup": [1]})


def test_without_split_every_second_subject_tests() -> None:
    labels = {30: "wave", 4: "clap", 100: "wave", 5: "clap"}
    rows = [f"s{number},{label},{number},a.npy" for number, label in labels.items()]
    parsed = parse_table(table(*rows), "t.csv")
    (rule,) = parsed.protocols.values()
    assert list(parsed.protocols) == ["cross-subject"]
    assert (rule.train, rule.test) == ({"subject": [4, 30]}, {"subject": [5, 100]})
    assert parsed.notes == ("the table has no column split: subjects 5, 100 are the test subjects",)


def test_order_of_the_classes_may_be_given() -> None:
    parsed = parse_table(table(*GOOD), "t.csv", ["wave", "clap", "jump"])
    assert parsed.class_names == ("wave", "clap", "jump")
    assert [row.label for row in parsed.rows.values()] == [0, 1]
    with pytest.raises(InputError, match="line 3: unknown label 'clap'; the classes are wave"):
        parse_table(table(*GOOD), "t.csv", ["wave"])


def test_set_ups_and_videos_may_be_given_and_spaces_are_ignored() -> None:
    rows = (" a , wave,1,a.npy, 4 ,a.avi", "b,clap,2,a.npy,5,")
    parsed = parse_table(table(*rows, head=HEAD + ", setup ,video"), "t.csv")
    assert parsed.has_video
    assert parsed.rows["a"] == ClipRow(1, 1, 1, 4, "a.npy", "a.avi")
    assert parsed.rows["b"].video == ""


MISTAKES = {
    "column": ({"head": "sample_id,label,skeleton"}, GOOD, "has no column subject: expected"),
    "empty": ({"head": ""}, (), "has no column .* it has none"),
    "unknown column": ({"head": HEAD + ",age"}, GOOD, "has an unknown column age: expected"),
    "value": ({}, (*GOOD, "c,,1,a.npy"), "line 4: no label"),
    "short row": ({}, (*GOOD, "c,wave"), "line 4: no subject, skeleton"),
    "long row": ({}, (*GOOD, "c,wave,1,a,b.npy"), "line 4: more values than the 4 columns"),
    "twice": ({}, (*GOOD, "a,wave,1,a.npy"), "line 4: sample_id a occurs twice"),
    "no rows": ({}, (), "has no rows: expected one for each clip"),
    "camera": ({"head": HEAD + ",camera"}, ("a,wave,1,a.npy,left",), "camera 'left', expected"),
    "set-up": ({"head": HEAD + ",setup"}, ("a,wave,1,a.npy,-1",), "setup '-1', expected a whole"),
    "split": ({"head": HEAD + ",split"}, ("a,wave,1,a.npy,dev",), "split 'dev', expected"),
    "two": ({"head": HEAD + ",setup,split"}, ("a,wave,1,a.npy,1,test",), "has both setup"),
    "one subject": ({}, (GOOD[0], "b,clap,1,a.npy"), "has a single subject and no column split"),
    "one subject in two spellings": (
        {},
        ("a,wave,1,a.npy", "b,clap,01,a.npy"),
        "has the subjects 01 and 1, which are one number: write each subject in one way",
    ),
    "column twice": ({"head": HEAD + ",label"}, ("a,wave,1,a.npy,clap",), "column label twice"),
    "one class": ({}, (GOOD[0], "b,wave,2,a.npy"), "have the label 'wave', expected two classes"),
    "no test": (
        {"head": HEAD + ",split"},
        ("a,wave,1,a.npy,train", "b,clap,2,a.npy,val"),
        "has no clip whose split is test",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_is_named(kind: str) -> None:
    changes, rows, message = MISTAKES[kind]
    with pytest.raises(InputError, match=message) as caught:
        parse_table(table(*rows, **changes), "folder/t.csv")
    assert str(caught.value).startswith("folder/t.csv") and "\n" not in str(caught.value)


def test_other_encodings_and_broken_quotes_are_refused() -> None:
    for content in (b"\xff\xfe\x00", table('a,"wave,1,a.npy')):
        with pytest.raises(InputError, match=r"t\.csv is not a CSV in UTF-8"):
            parse_table(content, "t.csv")
    assert parse_table(b"\xef\xbb\xbf" + table(*GOOD), "t.csv").class_names == ("clap", "wave")


def test_class_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="class 'wave' is given twice"):
        parse_table(table(*GOOD), "t.csv", ["wave", "clap", "wave"])


def test_val_of_ones_own_is_a_part_of_train() -> None:
    rows = ("a,wave,1,a.npy,train", "b,clap,2,a.npy,test", "c,clap,3,a.npy,val")
    parsed = parse_table(table(*rows, head=HEAD + ",split"), "t.csv")
    (rule,) = parsed.protocols.values()
    assert rule.fields() == {
        "train": {"setup": [0, 2]}, "test": {"setup": [1]}, "val": {"setup": [2]},
    }  # fmt: skip
    assert [row.setup for row in parsed.rows.values()] == [0, 1, 2]


def test_subjects_may_be_absent_where_the_split_is_given() -> None:
    rows = ("a,wave,a.npy,train", "b,clap,a.npy,test")
    parsed = parse_table(table(*rows, head="sample_id,label,skeleton,split"), "t.csv")
    assert {row.subject for row in parsed.rows.values()} == {0} and not parsed.subject_names


def test_subjects_are_sorted_naturally_and_named() -> None:
    rows = [f"c{n},{'wave' if n % 2 else 'clap'},s{n},a.npy" for n in range(1, 13)]
    parsed = parse_table(table(*rows), "t.csv")
    assert parsed.subject_names == {n: f"s{n}" for n in range(1, 13)}
    assert parsed.rows["c10"].subject == 10
    (note,) = parsed.notes
    assert note.endswith("subjects s2, s4, s6, s8, s10, s12 are the test subjects")


def test_tables_of_pandas_and_excel_are_read() -> None:
    expected = parse_table(table(*GOOD), "t.csv").rows
    pandas = table(*(f"{n},{row}" for n, row in enumerate(GOOD)), head=f",{HEAD}")
    assert parse_table(pandas, "t.csv").rows == expected
    assert parse_table(pandas, "t.csv").notes[0] == "the column without a name is not read"
    blank = table(*GOOD, ",,,", ",,,")
    assert parse_table(blank, "t.csv").rows == expected
    assert parse_table(blank, "t.csv").notes[0] == "2 rows without any value are not read"
    for delimiter in (b";", b"\t"):
        assert parse_table(blank.replace(b",", delimiter), "t.csv").rows == expected
    assert parse_table(b"\r\n".join(table(*GOOD).splitlines()), "t.csv").rows == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("Wave", "wave"), ("sit down", "sit_down"), ("1", "1.0"), ("1", "01"), ("a1", "a01")],
)
def test_one_value_in_two_spellings_is_refused(one: str, other: str) -> None:
    labels = table(f"a,{one},1,a.npy", f"b,{other},2,a.npy", "c,clap,3,a.npy")
    with pytest.raises(InputError, match=r"the labels .* differ in case, blanks or zeros only"):
        parse_table(labels, "t.csv")
    assert parse_table(labels, "t.csv", (one, other, "clap")).class_names == (one, other, "clap")


@pytest.mark.parametrize(("one", "other"), [("anna", "Anna"), ("P1", "p01"), ("S 1", "S_1")])
def test_one_subject_in_two_spellings_is_refused(one: str, other: str) -> None:
    with pytest.raises(InputError, match=r"t\.csv has the subjects .* write each in one way\."):
        parse_table(table(f"a,wave,{one},a.npy", f"b,clap,{other},a.npy"), "t.csv")


def test_values_that_only_look_alike_are_different() -> None:
    parsed = parse_table(table("a,wave 1,p1,a.npy", "b,wave 10,p10,a.npy"), "t.csv")
    assert parsed.class_names == ("wave 1", "wave 10")
