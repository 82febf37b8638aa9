"""The end of the demo: a new person's clip, predicted and drawn."""

from pathlib import Path

import numpy as np
import pytest
from made_models import make_model

from hhmnet_core.deploy.model import load_model
from hhmnet_core.sources.synthetic.recordings import Recordings
from hhmnet_core.sources.video_decoding import image_times
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.serving.demonstration import ACTION, SEED, demonstrate


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("demo")
    prepare_synthetic(str(folder / "store"), clips_per_class=10, stream="none", workers=1)
    return make_model(load_clips(folder / "store"), folder)


def test_the_clip_of_a_new_person_is_predicted_and_drawn(model: str, tmp_path: Path) -> None:
    out = tmp_path / "demo" / "clip.mp4"
    first, drawn, used = demonstrate(model, str(out))
    assert first.startswith(f'A new person does "{ACTION}". Predicted: ')
    loaded = load_model(model)
    recordings = Recordings(SEED, 1)
    clip = recordings.clip(recordings.names[loaded.class_names.index(ACTION)])
    (probabilities,) = loaded.predict([clip])
    best = int(probabilities.argmax())
    assert f"{loaded.class_names[best]} {probabilities[best]:.1%}" in first
    assert drawn == f"Drawn    {out}" and model in used
    assert image_times(out.read_bytes()).count == clip.joints.shape[1]


def test_nobody_was_trained_on_that_person(model: str) -> None:
    known = load_clips(Path(model).parent / "store")
    new = Recordings(SEED, 1)
    clip = new.clip(new.names[0])
    same = [
        number
        for number in range(len(known))
        if known.num_frames[number] == clip.joints.shape[1]
        and np.array_equal(known.clip(number).joints, clip.joints)
    ]
    assert not same
