"""A trained model that stands alone: probabilities of actions for clips of any length.

```python
model = load_model("workspace/runs/NAME/model")
probabilities = model.predict([joints_mtvc])        # (1, K)
model.class_names[probabilities[0].argmax()]
```

Shapes: N clips, K classes, M bodies, T frames, V joints, C coordinates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.folders import Weights, read_description, read_weights
from hhmnet_core.deploy.skeleton_networks import SkeletonNetwork, SkeletonNetworks
from hhmnet_core.deploy.video_network import GuidedVideoNetwork
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.inputs.footage import Footage, footage_of
from hhmnet_core.inputs.layout_mapping import find_joint_map, map_clip
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import OnMissing, complete
from hhmnet_core.store.clips import Clip, ClipSet, Float32Array, Int64Array, check_clip
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.store.reading import Uri

Logits = dict[str, Float32Array]  # (N, K) by network
# By the number of coordinates. Bodies differ in size by a factor of three, units by ten and more;
# in images they differ by how far away they are, too.
MAX_SIZE_RATIO = {3: 8.0, 2: 50.0}
MEASURED_CLIPS = 200  # of a set, which has one unit
NO_SCORES = (
    "its scores are not finite: its coordinates are too large (check their unit), or the model is "
    "damaged."
)


def load_model(
    uri: Uri, device: torch.device | None = None, *, without_video: bool = False
) -> "Model":
    """Load a model from its folder.

    Args:
        uri: Folder of the model, a path or any fsspec URI.
        device: Device of the networks. Default: the CPU.
        without_video: Leave out the video networks of the model.

    Raises:
        InputError: No model, one of a newer version, or one that was changed or is damaged.
    """
    described = read_description(uri, without_video=without_video)
    return Model(described, read_weights(uri, described), device)


class Model:
    """A trained model.

    Args:
        description: Its networks and how they are combined.
        weights: Tensors of each network.
        device: Device of the networks. Default: the CPU.

    Raises:
        InputError: Weights that do not fit the networks.
    """

    def __init__(
        self, description: ModelDescription, weights: Weights, device: torch.device | None = None
    ) -> None:
        self.description, self.device = description, device or torch.device("cpu")
        self.class_names = description.class_names
        self.layout: Layout = description.skeleton
        encoders: dict[str, SkeletonNetwork] = {}
        for each in description.networks:
            if each.member != VIDEO:
                encoders[each.name] = SkeletonNetwork.build(
                    each, weights[each.name], self.layout, self.num_classes, self.device
                )
        scored = {each.name for each in description.networks if each.weight}
        self._skeletons = SkeletonNetworks(
            [encoder for name, encoder in encoders.items() if name in scored], self.device
        )
        self._videos = [
            GuidedVideoNetwork.build(
                each, weights[each.name], encoders[each.guide], self.num_classes, self.device
            )
            for each in description.networks
            if each.member == VIDEO
        ]

    @property
    def num_classes(self) -> int:
        """K, number of classes."""
        return len(self.class_names)

    @property
    def reads_video(self) -> bool:
        """Whether it reads the video of a clip beside its skeleton."""
        return self.description.reads_video

    def predict(
        self, clips: Sequence[Clip | NDArray[Any]], batch: int | None = None
    ) -> NDArray[np.float64]:
        """Return the probabilities (N, K) of the classes.

        Args:
            clips: N clips, each with its video where the model reads videos; or arrays of joints,
                (T, V, C) for one body or (M, T, V, C) for several, in the model's layout. Bodies
                and frames at both ends whose joints are all zero are left out of arrays.
            batch: Clips that are scored at a time. Default: as many as in training.

        Raises:
            InputError: A clip that does not fit the model, which the message names.
        """
        probabilities_nk = self.predict_each(clips, batch)
        lost = np.flatnonzero(~np.isfinite(probabilities_nk).all(1))
        if len(lost):
            clip = clips[int(lost[0])]
            name = clip.sample_id if isinstance(clip, Clip) else int(lost[0])
            raise InputError(f"Clip {name}: {NO_SCORES}")
        return probabilities_nk

    def predict_each(
        self, clips: Sequence[Clip | NDArray[Any]], batch: int | None = None
    ) -> NDArray[np.float64]:
        """Return what `predict` does, but NaN for a clip whose scores are not finite."""
        if not len(clips):
            return np.empty((0, self.num_classes))
        with np.errstate(invalid="ignore", over="ignore"):
            return self.probabilities(self.logits(clips, batch))

    def logits(self, clips: Sequence[Clip | NDArray[Any]], batch: int | None = None) -> Logits:
        """Return the logits (N, K) of each network. Arguments and errors are those of `predict`."""
        checked = [self.check(clip, number) for number, clip in enumerate(clips)]
        clip_set = ClipSet.of(self._manifest(), checked)
        footage = None
        if visual := self.description.visual:
            for clip in checked:
                if clip.video is not None and len(clip.video.images) != visual.frames:
                    raise InputError(
                        f"Clip {clip.sample_id} has {len(clip.video.images)} images, but the model "
                        f"reads {visual.frames}: prepare it with as many."
                    )
            footage = footage_of(checked, visual, self.layout.num_joints)
        return self.score(clip_set, footage, batch=batch)

    def score(
        self,
        clips: ClipSet,
        footage: Footage | None = None,
        indices: Int64Array | None = None,
        batch: int | None = None,
    ) -> Logits:
        """Return the logits (N, K) of each network for clips of a set.

        Args:
            clips: Clips of the model's layout.
            footage: Their videos, which a model that reads videos needs.
            indices: (N,) clips to score. Default: all.
            batch: Clips that are scored at a time. Default: as many as in training.

        Raises:
            InputError: Clips of another layout, or a clip without the video that the model needs.
        """
        if clips.manifest.layout != self.layout.name:
            raise InputError(
                f"The clips are of layout {clips.manifest.layout}, but the model reads "
                f"{self.layout.name}: convert them, or use a model that was trained on theirs."
            )
        if self._videos and footage is None:
            raise InputError(
                f"The model {self.description.name} reads videos beside skeletons, but there are "
                "none: give them, or use its skeleton encoders alone (--without_video true)."
            )
        if batch is not None and batch < 1:
            raise InputError(f"batch must be at least 1, but is {batch}.")
        clips_n = torch.from_numpy(np.arange(len(clips)) if indices is None else indices)
        logits = self._skeletons.logits(clips, clips_n, batch)
        for video in self._videos:
            assert footage is not None
            logits[video.name] = video.logits(clips, footage, clips_n, self.device, batch)
        return {name: each.numpy() for name, each in logits.items()}

    def combine(self, logits: Mapping[str, NDArray[np.float32]]) -> NDArray[Any]:
        """Return the combined scores (N, K) of the networks, before the model's temperature.

        For the combination "logits" they are those of the score tables that fusions write, float32;
        else the logarithms of probabilities, up to a constant.
        """
        networks = [each for each in self.description.networks if each.weight]
        weights_s = np.array([each.weight for each in networks], dtype=np.float64)
        total_nk = np.zeros(logits[networks[0].name].shape, dtype=np.float64)
        if self.description.combination == "log_probabilities":
            for network, weight in zip(networks, weights_s, strict=True):
                logits_nk = logits[network.name].astype(np.float64)
                total_nk += weight * log_softmax(logits_nk / network.temperature, axis=1)
            return total_nk
        for network, share in zip(networks, weights_s / weights_s.sum(), strict=True):
            total_nk += share * (logits[network.name] / np.float32(network.temperature))
        return total_nk.astype(np.float32)

    def probabilities(self, logits: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the probabilities (N, K) that follow from the networks' logits."""
        combined_nk = self.combine(logits).astype(np.float64)
        probabilities_nk: NDArray[np.float64] = softmax(
            combined_nk / self.description.temperature, axis=1
        )
        return probabilities_nk

    def _manifest(self) -> Manifest:
        """Return the manifest of a set of clips that are in memory."""
        described = self.description
        return Manifest(
            schema_version=1,
            dataset=described.dataset,
            layout=described.layout,
            class_names=described.class_names,
            protocols={},
            counts={},
            shards=(),
            digest="",
            source={},
            visual=described.visual,
            own_layout=described.own_layout,
        )

    def check(
        self,
        clip: Clip | NDArray[Any],
        number: int = 0,
        layout: Layout | None = None,
        missing: OnMissing = "refuse",
    ) -> Clip:
        """Return a clip as the model reads it, without its label.

        Args:
            clip: A clip, or an array of joints as for `predict`.
            number: Number of the clip, for messages about an array.
            layout: Layout of the joints, which are converted. Default: the model's.
            missing: Treatment of joints of an array that are missing while their body is present.

        Raises:
            InputError: The clip does not fit the layout, there is no map to the model's, or an
                array is in another unit than the training data.
        """
        source = layout or self.layout
        is_array = not isinstance(clip, Clip)
        if isinstance(clip, Clip):
            checked = replace(clip, label=0)
        else:
            checked = _clip_of(np.asarray(clip), number, source, missing)
        check_clip(checked, source, self.num_classes)
        if found := find_joint_map(source, self.layout):
            checked = map_clip(checked, found)
        if is_array:  # files and stores are checked where they are read; live poses are not
            self.check_unit(checked)
        return checked

    def check_unit(self, clip: Clip) -> None:
        """Raise InputError for a clip of the model's layout in another unit than in training.

        Its joints lie farther from, or nearer to, their middle than those of training, by more than
        bodies differ. A model that scales all bodies to one size has no unit, and one without a
        joint encoder cannot tell.
        """
        self._check_spread(body_spread(clip.joints), f"Clip {clip.sample_id}: its joints")

    def check_unit_of_set(self, clips: ClipSet, indices: Int64Array | None = None) -> None:
        """Raise InputError as `check_unit` does, for the middle one of the clips of a set.

        Args:
            clips: Clips of the model's layout.
            indices: (N,) clips that count. Default: all.
        """
        chosen = np.arange(len(clips)) if indices is None else indices
        measured = chosen[:: max(1, len(chosen) // MEASURED_CLIPS)]
        spread = float(np.median([body_spread(clips.clip(int(i)).joints) for i in measured]))
        self._check_spread(spread, f"The clips of {clips.manifest.dataset}: their joints")

    def _check_spread(self, given: float, what: str) -> None:
        trained, most = self._skeletons.body_spread, MAX_SIZE_RATIO[self.layout.channels]
        if not (trained and given) or trained[0] / most < given < trained[1] * most:
            return
        raise InputError(
            f"{what} lie {given:.3g} from their middle, in training {trained[0]:.2g} to "
            f"{trained[1]:.2g}: give them in the unit of the training data."
        )


def body_spread(joints_mtvc: NDArray[np.float32]) -> float:
    """Return the median distance of joints (M, T, V, C) from the middle of their body.

    It is the root mean square over the joints; bodies that are all zero do not count.
    """
    joints = joints_mtvc.reshape(-1, *joints_mtvc.shape[2:]).astype(np.float64)
    joints = joints[(joints != 0).any((1, 2))]
    if not len(joints):
        return 0.0
    away = joints - joints.mean(1, keepdims=True)
    return float(np.median(np.sqrt((away**2).sum(2).mean(1))))


def _clip_of(array: NDArray[Any], number: int, layout: Layout, missing: OnMissing) -> Clip:
    """Return an array as a clip, without absent bodies and padding."""
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiu":
        raise InputError(
            f"Clip {number} is an array of shape {array.shape} and type {array.dtype}, "
            "expected numbers of (frames, joints, channels), or (bodies, frames, joints, "
            "channels) for several bodies."
        )
    joints = np.asarray(array if array.ndim == 4 else array[None], np.float32)
    layout.check(joints.shape[2], joints.shape[3], f"Clip {number}")
    finite_mtv = np.all(np.isfinite(joints), axis=-1)
    shown_mt = np.any(joints != 0, axis=(2, 3))
    done = complete(joints, finite_mtv & shown_mt[..., None], layout, missing, f"Clip {number}")
    marks = done.missing if done.missing.any() else None
    return Clip(f"{number}", 0, 0, 0, 0, done.joints, missing=marks)
