"""Designs: read from YAML, with a line that names what is wrong."""

from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.ablation.design import BenchDesign, parse_benches, read_design
from hhmnet_platform.ablation.tables import Threshold

WHOLE = """
reference: b
threshold: {pairs: 4}
seeds: [1, 2]
modalities: [joint, bone]
benches:
  - {protocol: 1-2, steps: 100, seeds: [5]}
  - {store: data/utd, folds: 2, config: {data.frames: 16}}
variants:
  a:
  b: {model.mask: false}
"""


def design_file(folder: Path, text: str) -> str:
    file = folder / "bench.yaml"
    file.write_text(text)
    return str(file)


def test_design_is_read(tmp_path: Path) -> None:
    design = read_design(design_file(tmp_path, WHOLE))
    assert design.variants == {"a": {}, "b": {"model.mask": False}}
    assert (design.reference, design.threshold) == ("b", Threshold(2, 4))
    assert (design.seeds, design.modalities) == ([1, 2], ["joint", "bone"])
    fold = {"store": "data/utd", "config": {"data.frames": 16}}
    assert design.benches == [
        BenchDesign(protocol="1-2", steps=100, seeds=[5]),
        BenchDesign(**fold, selection="fold-1-of-2"),
        BenchDesign(**fold, selection="fold-2-of-2"),
    ]


def test_threshold_is_the_usual_one_unless_none_is_asked_for(tmp_path: Path) -> None:
    assert read_design(design_file(tmp_path, "variants: {a: {}}")).threshold == Threshold(2, 16)
    assert read_design(design_file(tmp_path, "threshold: null")).threshold is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a, b]", "expected names and values"),
        ("variant: {a: {}}", "has the key 'variant', which is unknown: .* is variants"),
        ("variants: {a: {}, a: {}}", "is given twice"),
        ("variants: {1: {}}", "has the variant 1: expected a text"),
        ("variants: {'a|b': {}}", r"has the variant 'a\|b'"),
        ("variants: {'../a': {}}", "name of a variant"),
        ("variants: {a: [b]}", "Variant 'a' in .* is .* expected names and values"),
        ("variants: {a: {seed: 3}}", "Variant 'a' in .* sets seed: data and seeds"),
        ("variants: {a: {data.protocol: x}}", "sets data.protocol"),
        ("variants: {a: {3: x}}", "sets 3: expected a field such as"),
        ("threshold: {error: 3}", "key 'error', which is unknown: .* is errors"),
        ("threshold: {pairs: many}", "threshold.pairs is 'many', expected int"),
        ("seeds: 3", "seeds is 3, expected"),
        ("seeds: [010]", "seeds.* is '010', expected"),
        ("threshold: {errors: 0x2}", "threshold.errors is '0x2', expected"),
        ("benches: {a: b}", "expected a list"),
        ("benches: [1-2]", "Bench 1 of .* expected names"),
        ("benches: [{protocols: 1-2}]", "'protocols', which is unknown: .* is protocol"),
        ("benches: [{protocol: 1}]", "Bench 1 of .*protocol is 1, expected str"),
        ("benches: [{folds: 1}]", "give 2 folds or more"),
        ("benches: [{folds: 2, selection: val}]", "or one selection"),
        ("benches: [{steps: -1}]", "steps -1"),
        ("benches: [{config: {data.store: x}}]", "Bench 1 of .* sets data.store"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_design(design_file(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no design of an ablation at"):
        read_design(str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match=r"no design of an ablation bench_re_dtm, .* bench_re_dmt"):
        read_design("bench_re_dtm")


def test_named_bench_with_folds_has_a_name_for_each() -> None:
    first, second = parse_benches([{"name": "utd", "folds": 2}], "--benches")
    assert (first.name, second.name) == ("utd fold-1-of-2", "utd fold-2-of-2")
