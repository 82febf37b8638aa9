"""Predicting the actions of recordings with a trained model: the command."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_platform.presentation.labels import printable
from hhmnet_platform.serving.devices import choose_device
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.live import run_live
from hhmnet_platform.serving.live_options import check_live
from hhmnet_platform.serving.predictions import Prediction, check_out, write_predictions
from hhmnet_platform.serving.recognition import predict_input
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace, absolute_uri

LISTED = 20  # predictions that are printed


def run_predict(job: PredictJob) -> None:
    """Predict, print, and write the predictions.

    Raises InputError for anything the user can cause, and where no recording can be predicted.
    """
    if not job.input:
        raise InputError(
            "--input is missing: give a skeleton file, a video, a folder, a CSV, a store, a camera "
            "or a stream."
        )
    address = job.live
    if address is not None:
        check_live(job)
    elif job.workers is None:
        check_out(job.out, job.overwrite)
    workspace = Workspace(absolute_uri(job.workspace))
    place = find_model(job.model, workspace, job.tracking_uri)
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if job.workers is not None:
        from hhmnet_platform.serving.at_scale import predict_at_scale  # imports Ray's session

        predict_at_scale(job, place, console)
        return
    model = load_model(place, choose_device(job.device), without_video=job.without_video)
    console.print(f"Model    {place} ({len(model.class_names)} actions, {model.layout.name})")
    if address is not None:
        run_live(job, model, address, console)
        return
    predictions: list[Prediction] = []
    for prediction in predict_input(job, model):
        predictions.append(prediction)
        if len(predictions) <= LISTED:
            console.print(shown(prediction, model.class_names))
    if len(predictions) > LISTED:
        more = f"{len(predictions) - LISTED} more predictions"
        console.print(f"... {more}{'' if job.out else '; give --out for all of them'}")
    if job.out:
        write_predictions(predictions, model.class_names, job.out)
        console.print(f"Written  {job.out}")
    failed = [each for each in predictions if each.reason]
    if failed and len(failed) < len(predictions):
        have = "recording has" if len(failed) == 1 else "recordings have"
        console.print(f"{len(failed)} {have} no prediction, for the reasons above or in --out.")
    if len(failed) == len(predictions):
        raise InputError(f"No recording of {job.input} could be predicted: {failed[0].reason}")


def shown(prediction: Prediction, class_names: Sequence[str]) -> str:
    """Return the line that shows a prediction."""
    name = printable(prediction.input)
    if prediction.reason:
        return f"{name}: no prediction. {printable(prediction.reason)}"
    part = ""
    if prediction.start is not None:
        part = f" {prediction.start:.2f} to {prediction.stop:.2f}"
    if prediction.probabilities is None:
        return f"{name}{part}: {prediction.action}"
    order = np.argsort(-prediction.probabilities, kind="stable")[:3]
    shares = ", ".join(f"{class_names[at]} {prediction.probabilities[at]:.1%}" for at in order)
    mark = "unsure: " if prediction.unsure else ""
    return f"{name}{part}: {mark}{shares} ({prediction.milliseconds:.1f} ms)"
