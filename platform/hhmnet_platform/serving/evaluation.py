"""How well a model does on clips that are at hand: accuracies, calibration, confusions.

Shapes: N clips, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.compare import measure, most_frequent_confusions

TOP = 5


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy of the clips of one class.

    Attributes:
        name: Name of the class.
        clips: Number of its clips.
        top1: Share of them that is classified correctly. None without clips.
    """

    name: str
    clips: int
    top1: float | None


@dataclass(frozen=True)
class Evaluation:
    """Result of a model on clips.

    Attributes:
        model: Name of the model.
        dataset: Name of the clips' data set.
        split: The clips that are scored.
        clips: Number of clips.
        left_out: Number of clips of classes that the model does not have.
        trained_on: Number of clips that the model was trained on or selected by.
        top1: Top-1, a share of 1.
        interval: 95 % interval of the top-1, by bootstrap over clips.
        top5: Share of the clips whose class is among the five likeliest ones.
        mean_class: Mean over the classes with clips of their top-1.
        log_loss: Mean negative logarithm of the probability of the true class, in nats.
        calibration_error: Expected calibration error, 15 bins.
        classes: Accuracy of each class of the model.
        confusions: Most frequent confusions: true class, predicted one, clips, their share.
        confusion_matrix: Clips by true (row) and predicted class (column).
    """

    model: str
    dataset: str
    split: str
    clips: int
    left_out: int
    trained_on: int
    top1: float
    interval: tuple[float, float]
    top5: float
    mean_class: float
    log_loss: float
    calibration_error: float
    classes: tuple[ClassAccuracy, ...]
    confusions: tuple[tuple[str, str, int, float], ...]
    confusion_matrix: tuple[tuple[int, ...], ...]


def assess_predictions(
    probabilities_nk: NDArray[np.float64],
    labels_n: NDArray[np.int64],
    class_names: tuple[str, ...],
    *,
    model: str,
    dataset: str,
    split: str,
    left_out: int,
    trained_on: int = 0,
) -> Evaluation:
    """Return the report of predictions.

    Args:
        probabilities_nk: (N, K) probabilities of N > 0 clips.
        labels_n: (N,) their classes.
        class_names: K names.
        model: Name of the model.
        dataset: Name of the data set.
        split: The clips that are scored.
        left_out: Number of clips of classes that the model does not have.
        trained_on: Number of clips that the model was trained on or selected by.
    """
    measured = measure(probabilities_nk, labels_n)
    own_n = probabilities_nk[np.arange(len(labels_n)), labels_n]
    rank_n = (probabilities_nk > own_n[:, None]).sum(1)
    num_classes = len(class_names)
    counts_kk = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts_kk, (labels_n, probabilities_nk.argmax(1)), 1)
    clips_k = counts_kk.sum(1)
    top1_k = [
        float(right / clips) if clips else None
        for right, clips in zip(counts_kk.diagonal(), clips_k, strict=True)
    ]
    classes = tuple(
        ClassAccuracy(name, int(clips), top1)
        for name, clips, top1 in zip(class_names, clips_k, top1_k, strict=True)
    )
    return Evaluation(
        model=model,
        dataset=dataset,
        split=split,
        clips=len(labels_n),
        left_out=left_out,
        trained_on=trained_on,
        top1=measured.top1,
        interval=measured.interval,
        top5=float((rank_n < TOP).mean()),
        mean_class=float(np.mean([top1 for top1 in top1_k if top1 is not None])),
        log_loss=float(-np.log(np.maximum(own_n, np.finfo(np.float64).tiny)).mean()),
        calibration_error=measured.calibration_error,
        classes=classes,
        confusions=tuple(most_frequent_confusions(counts_kk, class_names)),
        confusion_matrix=tuple(tuple(map(int, row)) for row in counts_kk),
    )
