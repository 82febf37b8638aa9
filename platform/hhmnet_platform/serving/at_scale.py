"""Predicting many files side by side with Ray Data, on this machine or a cluster.

Rows that pass through Ray hold names alone: a process reads its files itself, one group at a time,
so memory does not grow with the number or the size of the files. Each group is written as one file
when it is done. After an interruption the same command predicts what is not there yet.
"""

import hashlib
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from rich.console import Console

from hhmnet_core.deploy.description import DESCRIPTION
from hhmnet_core.deploy.folders import read_description
from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.identity import JsonObject
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.serving.devices import choose_device
from hhmnet_platform.serving.inputs import RecordingFiles
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.parts import bind, finished_inputs, write_part
from hhmnet_platform.serving.recognition import chunks_of, open_files, predict_chunk

LOG_SECONDS = 15.0
_DECISIVE = (
    "layout", "axes", "missing", "min_confidence", "fps", "window", "stride", "estimator",
    "max_bodies", "focal", "threshold", "without_video",
)  # fmt: skip


def predict_at_scale(job: PredictJob, place: str, console: Console) -> None:
    """Predict the files of a job on several processes, and write a folder of predictions.

    Args:
        job: The prediction; `out` is a folder.
        place: Folder of its model, which all nodes can read.
        console: Where progress is printed.

    Raises:
        InputError: For anything the user can cause, and where no recording can be predicted.
    """
    files = open_files(job, read_description(place, without_video=job.without_video))
    files.check()
    bind(job.out, _made_by(job, place, files))
    done = finished_inputs(job.out)
    waiting = [name for name in files.names if name not in done]
    if done:
        known = len(files.names) - len(waiting)
        console.print(f"{known} of {len(files.names)} recordings are in {job.out} already.")
    groups = chunks_of(files, waiting)
    started, count, logged = time.monotonic(), 0, time.monotonic()
    for predicted in _predict_groups(job, place, groups) if groups else ():
        count += predicted
        if time.monotonic() - logged >= LOG_SECONDS or count == len(waiting):
            logged = time.monotonic()
            speed = count / max(logged - started, 1e-9)
            print(
                f"{count:,} of {len(waiting):,} recordings, {speed:.1f} a second", file=sys.stderr
            )
    _summarise(job, files.names, console)


def _made_by(job: PredictJob, place: str, files: RecordingFiles) -> JsonObject:
    """Return all that decides the predictions of a job."""
    options: JsonObject = {name: getattr(job, name) for name in _DECISIVE}
    model = hashlib.sha256(folder(place).read(DESCRIPTION)).hexdigest()
    versions = {name: files.version(name) for name in files.names}
    return {"model": model, **options, "recordings": versions}


def _summarise(job: PredictJob, names: Sequence[str], console: Console) -> None:
    wanted, total = set(names), len(names)
    done = {name: why for name, why in finished_inputs(job.out).items() if name in wanted}
    failed = {name: reason for name, reason in done.items() if reason}
    for name, reason in list(failed.items())[:20]:
        console.print(f"{name}: no prediction. {reason}")
    console.print(
        f"Written  {job.out}: {len(done) - len(failed)} of {total} recordings predicted, "
        f"{len(failed)} without a prediction"
    )
    if done and len(failed) == len(done):
        raise InputError(f"No recording of {job.input} could be predicted; see the reasons above.")


def _predict_groups(job: PredictJob, place: str, groups: Sequence[list[str]]) -> Iterator[int]:
    """Yield the number of recordings of each group, when it is written."""
    with ray_session() as resources:
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)  # its own lines stand for ours
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        workers = min(job.workers or max(resources.cpus, 1), len(groups))
        rows = ray.data.from_items(
            [{"names": group} for group in groups], override_num_blocks=len(groups)
        )
        predicted = rows.map_batches(
            _Worker,
            fn_constructor_args=(job, place),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=1 if job.device == "cuda" else 0,
        )
        for row in predicted.iter_rows():
            if row["error"]:
                raise InputError(row["error"])
            yield int(row["count"])


class _Worker:
    """A process that predicts groups of files; its model is loaded with the first one."""

    def __init__(self, job: PredictJob, place: str) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        self._job, self._place = job, place
        self._model: Model | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        names = [str(name) for name in batch["names"][0]]
        try:
            self._predict(names)
        except InputError as error:  # which Ray would wrap
            return {"count": [0], "error": [str(error)]}
        return {"count": [len(names)], "error": [""]}

    def _predict(self, names: list[str]) -> None:
        job = self._job
        if self._model is None:
            device = choose_device(job.device)
            self._model = load_model(self._place, device, without_video=job.without_video)
            self._files = open_files(job, self._model.description)
        predictions = predict_chunk(job, self._model, self._files, names, is_single=False)
        write_part([*predictions], self._model.class_names, job.out)
