"""Stores of the field's files: made once, and not taken for those of other options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from field_files import write_annotations, write_padded

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.own_layout import layout_fields
from hhmnet_platform.datasets.field_builders import prepare_ctr_gcn, prepare_pyskl

BUILDERS: dict[str, tuple[Callable[..., Any], Callable[..., str], str, str]] = {
    "a.pkl": (prepare_pyskl, write_annotations, "coco_17", "sub"),
    "b.npz": (prepare_ctr_gcn, write_padded, "kinect_v2_25", "given"),
}


@pytest.mark.parametrize("file", BUILDERS)
def test_store_is_made_once_and_bound_to_its_options(file: str, tmp_path: Path) -> None:
    prepare, write, layout, protocol = BUILDERS[file]
    source, store = write(tmp_path / file), str(tmp_path / "store")
    made = prepare(source, store)
    assert made.written and made.manifest.layout == layout
    assert made.manifest.dataset == Path(file).stem and list(made.manifest.protocols) == [protocol]
    counts = made.manifest.counts[protocol]
    assert all(counts.values()) and sum(counts.values()) == made.manifest.num_clips
    assert not prepare(source, store).written
    assert prepare(source, str(tmp_path / "other"), name="mine").manifest.dataset == "mine"
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(layout_fields(get_layout(layout)) | {"name": "mine"}))
    for changes in ({"layout": str(own)}, {"seed": 2}, {"classes": ["x", "y"]}):
        with pytest.raises(InputError, match="was made from something else"):
            prepare(source, store, **changes)
    with pytest.raises(InputError, match=r"The data set name '\.\./up' cannot be used"):
        prepare(source, str(tmp_path / "third"), name="../up")
