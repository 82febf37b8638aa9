"""The worked example of docs/data.md, as it stands there."""

from pathlib import Path

import pytest

from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.datasets.builders import prepare_own

DOCS = Path(__file__).parents[3] / "docs" / "data.md"


def test_example_of_the_docs_is_prepared_and_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = DOCS.read_text().split(" own data\n", 1)[1]
    monkeypatch.chdir(tmp_path)
    exec(chapter.split("```python\n")[1].split("```")[0], {})
    assert "own --index clips.csv --layout coco_17 --store stores/mine" in chapter
    prepared = prepare_own("clips.csv", "coco_17", "stores/mine", workers=1)
    assert prepared.manifest.class_names == ("stand", "wave")
    assert prepared.manifest.counts == {"cross-subject": {"train": 16, "val": 8, "test": 24}}
    clips = load_clips("stores/mine", tmp_path / "cache")
    assert "--data.store stores/mine --optim.epochs 30" in chapter
    config = Phase1Config(optim=OptimConfig(epochs=30))
    for report in fit(config, clips, Mesh()):  # noqa: B007
        pass
    assert report.metrics["fusion"]["test/top1"] > 0.9


def test_same_command_again_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chapter = DOCS.read_text().split(" own data\n", 1)[1]
    monkeypatch.chdir(tmp_path)
    exec(chapter.split("```python\n")[1].split("```")[0], {})
    first, again = (prepare_own("clips.csv", "coco_17", "store", workers=1) for _ in range(2))
    assert (first.written, again.written) == (True, False)
