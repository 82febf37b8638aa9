"""The end of the demo: a prediction for a clip of a person whom no run has seen."""

import numpy as np

from hhmnet_core.deploy.model import load_model
from hhmnet_core.sources.synthetic.performance import FRAMES_PER_SECOND
from hhmnet_core.sources.synthetic.recordings import CLASS_NAMES, Recordings
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_platform.serving.inputs import Recorded
from hhmnet_platform.serving.rendering import render

SEED = 20_000  # of the people; the demo's data have another
ACTION = "wave right"


def demonstrate(model_place: str, out: str) -> list[str]:
    """Predict a new synthetic clip, draw it, and return lines that say what was predicted.

    Args:
        model_place: Folder of a model of the synthetic data.
        out: Path or URI of the video to write.

    Raises:
        InputError: The model cannot be read, or the video cannot be written.
    """
    model = load_model(model_place)
    visual = model.description.visual if model.reads_video else None
    config = VideoConfig(visual.frames, visual.size) if visual else None
    recordings = Recordings(SEED, 1, config)
    clip = recordings.clip(recordings.names[CLASS_NAMES.index(ACTION)])
    (probabilities,) = model.predict([clip])
    frames = clip.joints.shape[1]
    render(
        Recorded(clip, FRAMES_PER_SECOND),
        np.tile(probabilities, (frames, 1)),
        model.layout,
        model.class_names,
        model.description.threshold or 0.0,
        out,
    )
    order = np.argsort(-probabilities, kind="stable")[:3]
    shares = ", ".join(f"{model.class_names[k]} {probabilities[k]:.1%}" for k in order)
    return [
        f'A new person does "{ACTION}". Predicted: {shares}',
        f"Drawn    {out}",
        f"Model    {model_place}: hhmnet predict --model {model_place} --input FILE",
    ]
