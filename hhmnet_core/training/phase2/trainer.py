"""The pieces of phase 2 on one process: the video network under the guidance of the skeleton.

The loss of a global batch is the cross-entropy plus a weight times the part contrast over all of
its clips; like phase 1's it is the same in every layout of the mesh.
"""

from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import VIDEO, ScoreTable
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.inputs.footage import Footage, FootageReader, check_filmed, with_video
from hhmnet_core.inputs.order import epoch_order, smallest_batch
from hhmnet_core.inputs.video_augment import augment_video
from hhmnet_core.losses import part_contrast
from hhmnet_core.models.video import GuidedVideo, VideoEncoded, VideoNetwork
from hhmnet_core.randomness import BatchRandom, keyed_generator
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import split
from hhmnet_core.training.evaluation import choose, score_table, table_metrics
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import check_converging, learning_rate
from hhmnet_core.training.phase2.config import Phase2Config, comparable
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.guidance_inputs import GuidanceInputs, visible
from hhmnet_core.training.records import EpochRecord, Metrics, Progress
from hhmnet_core.training.reports import TrainingState, read_summary, summarise
from hhmnet_core.training.stream import Stream

EVALUATION_BATCH = 32


class Phase2Trainer:
    """Trains and scores the video network of phase 2.

    Attributes:
        split: The clips of the protocol that have a video.
    """

    def __init__(
        self,
        config: Phase2Config,
        clips: ClipSet,
        footage: Footage,
        guide: FrozenEncoder,
        mesh: Mesh,
        device: torch.device,
    ) -> None:
        self.config, self.clips, self.guide, self.mesh = config, clips, guide, mesh
        self.device, self.layout = device, clips.manifest.skeleton
        self.everyone = split(clips, config.data.protocol, config.data.selection)
        self.split = with_video(self.everyone, footage)
        check_filmed(self.split, config.data.selection)
        if smallest_batch(len(self.split.train), config.optim.batch) < mesh.data:
            raise InputError(
                f"optim.batch ({config.optim.batch}) cannot be split over {mesh.data} workers: "
                "raise it or use fewer workers."
            )
        self.reader = FootageReader(footage, device, sharers=mesh.sharers)
        self.labels = torch.from_numpy(clips.labels.copy()).to(device)
        self.joints = torch.from_numpy(footage.joints_nmfv2)
        self.guidance = GuidanceInputs(config, clips, footage, guide, device)
        visual = footage.visual
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(keyed_generator(config.seed, VIDEO).get_state())
            network = VideoNetwork(
                config.video, visual.frames, visual.size, len(clips.manifest.class_names)
            )
            model = GuidedVideo(network, self.guidance.width)
        self.grid = network.grid_shape
        self.stream = Stream(VIDEO, model.to(device, config.optim.dtype), config.optim)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.split.train) // self.config.optim.batch)

    def epoch_order(self, epoch: int) -> list[Tensor]:
        """The epoch's global batches as clip indices."""
        return epoch_order(self.split.train, self.config.optim.batch, self.config.seed, epoch)

    def summed(self, steps: list[Tensor]) -> Tensor:
        """What steps gave, over all processes: (steps, 1, 3)."""
        sums = torch.stack(steps)
        self.mesh.sum_over_data([sums])
        return sums[:, None]

    def train_metrics(self, epoch: int, sums: Tensor) -> Metrics:
        """Of an epoch, from the sums (1, 3) over its steps."""
        config = self.config
        means_3 = sums[0] / len(self.split.train)
        loss, correct, contrast = means_3.tolist()
        check_converging(means_3, f"loss {loss} in epoch {epoch}", config.optim)
        rate = learning_rate(config.optim, epoch * self.steps_per_epoch - 1, self.steps_per_epoch)
        return {
            VIDEO: {
                "train/loss": loss,
                "train/contrast": contrast,
                "train/top1": correct,
                "train/lr": rate,
                "train/guidance": float(self.stream.model.network.strength.detach()),
            }
        }

    def train_step(self, epoch: int, step: int, clips_n: Tensor) -> Tensor:
        """One step on a global batch of clip indices: (3,) loss, correct, contrast sums."""
        config, total = self.config, len(clips_n)
        mine = self.mesh.rows(total)
        own = clips_n[mine]

        def random(purpose: str) -> BatchRandom:
            key = (config.seed, epoch, step, purpose)
            return BatchRandom(
                *key, total=total, start=mine.start, stop=mine.stop, device=self.device
            )

        batch = augment_video(
            self.reader.images(own),
            self.joints[own].to(self.device),
            config.augment,
            self.layout,
            random("augment"),
        )
        heat, spots = self.guidance.heat(own, batch.joints_nmfv2, self.grid, batch.mirrored_n)
        masks = self.guidance.masks(spots)
        model = self.stream.model
        model.train()
        dtype = config.optim.dtype
        encoded = model(
            batch.images_nfchw.to(dtype),
            None if heat is None else heat.to(dtype),
            None if masks is None else masks.to(dtype),
            random("drop").uniform(model.network.num_draws),
        )
        labels_n = self.labels[own.to(self.device)]
        cross_entropy = F.cross_entropy(
            encoded.logits_nk,
            labels_n,
            reduction="sum",
            label_smoothing=config.optim.label_smoothing,
        )
        loss = cross_entropy / total
        contrast = loss.new_zeros(())
        if masks is not None:
            contrast = self._contrast(model, encoded, masks, own, batch.mirrored_n, total)
            loss = loss + config.parts.weight * contrast
        loss.backward()
        self.mesh.sum_over_data(self.stream.gradients())
        done = (epoch - 1) * self.steps_per_epoch + step
        self.stream.update(learning_rate(config.optim, done, self.steps_per_epoch), done)
        correct = (encoded.logits_nk.argmax(1) == labels_n).sum()
        once = total if self.mesh.data_rank == 0 else 0  # the same on all of them
        return torch.stack([cross_entropy.detach(), correct, contrast.detach() * once]).double()

    def _contrast(
        self,
        model: GuidedVideo,
        encoded: VideoEncoded,
        masks_npthw: Tensor,
        clips_n: Tensor,
        mirrored_n: Tensor,
        total: int,
    ) -> Tensor:
        """Over the global batch, equal on all processes."""
        tokens = self.guidance.tokens(clips_n, mirrored_n)
        known, there = model.known(tokens), visible(masks_npthw, tokens)
        assert encoded.parts_npe is not None
        gathered = [
            self.mesh.gather(each.transpose(0, 1).contiguous(), total).transpose(0, 1)
            for each in (encoded.parts_npe, known, there.to(known)[..., None])
        ]
        seen, known, shown = gathered
        return part_contrast(seen, known, shown[..., 0] > 0.5, self.config.parts.temperature)

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        """Adds the val metrics, and keeps the weights of the best epoch so far."""
        if not len(self.split.val):
            return
        table = self._table(self.logits(self.split.val), self.split.val, "val")
        metrics[VIDEO].update(table_metrics(table))
        before = history[-1].metrics[VIDEO] if history else {}
        if choose(metrics[VIDEO], before, epoch, self.config.data.selection):
            self.stream.keep_best()

    def final_scores(self) -> list[ScoreTable]:
        """Tables of val and test, with the best epoch's weights where val chose."""
        return [
            self._table(self.logits(indices, best=True), indices, name)
            for name, indices in (("val", self.split.val), ("test", self.split.test))
            if len(indices)
        ]

    @torch.no_grad()
    def final_metrics(self) -> Metrics:
        """How alike a part in the video and a part of the same clip's skeleton are, over test.

        The mean cosine, by the part in the video and that of the skeleton; only of parts that were
        seen, and only where part by part is what was trained.
        """
        if self.config.parts.mode != "parts" or not self.config.parts.weight:
            return {}
        everyone = torch.from_numpy(self.split.test)
        sums = torch.zeros(2, len(PARTS), len(PARTS), dtype=torch.float64, device=self.device)
        projector = {
            name.removeprefix("projector."): weight
            for name, weight in self._weights(best=True).items()
            if name.startswith("projector.")
        }
        for clips_n in everyone[self.mesh.rows(len(everyone))].split(EVALUATION_BATCH):
            if not len(clips_n):  # more workers than clips: splitting nothing gives one empty part
                continue
            encoded, masks = self._encoded(clips_n, best=True)
            tokens = self.guidance.tokens(clips_n)
            known = F.normalize(
                functional_call(self.stream.model.projector, projector, tokens), dim=-1
            )
            assert encoded.parts_npe is not None and masks is not None
            there = visible(masks, tokens).double()
            alike_npp = torch.einsum("npe,nqe->npq", encoded.parts_npe, known).double()
            both_npp = there[:, :, None] * there[:, None]
            sums += torch.stack([(alike_npp * both_npp).sum(0), both_npp.sum(0)])
        self.mesh.sum_over_data([sums])
        alike_pp, clips_pp = sums.tolist()
        return {
            VIDEO: {
                f"similarity/{seen}/{known}": alike_pp[i][j] / clips_pp[i][j]
                for i, seen in enumerate(PARTS)
                for j, known in enumerate(PARTS)
                if clips_pp[i][j]
            }
        }

    @torch.no_grad()
    def logits(self, indices: Int64Array, best: bool = False) -> Tensor:
        """(len(indices), K) float32 on the host, from the evaluated or the best weights."""
        everyone = torch.from_numpy(indices)
        own = everyone[self.mesh.rows(len(everyone))]
        local = torch.zeros(1, len(own), len(self.clips.manifest.class_names), device=self.device)
        for start in range(0, len(own), EVALUATION_BATCH):
            clips_n = own[start : start + EVALUATION_BATCH]
            local[0, start : start + len(clips_n)] = self._encoded(clips_n, best)[0].logits_nk
        return self.mesh.gather(local, len(everyone))[0].cpu()

    def _weights(self, best: bool) -> dict[str, Tensor]:
        return (self.stream.best if best else {}) or self.stream.evaluated

    def _encoded(self, clips_n: Tensor, best: bool) -> tuple[VideoEncoded, Tensor | None]:
        """Clips as they are, and the parts' masks."""
        model, dtype = self.stream.model, self.config.optim.dtype
        model.eval()
        images = self.reader.images(clips_n).to(dtype) / 255
        joints = self.joints[clips_n].to(self.device)
        heat, spots = self.guidance.heat(clips_n, joints, self.grid)
        masks = self.guidance.masks(spots)
        given = [each if each is None else each.to(dtype) for each in (heat, masks)]
        encoded: VideoEncoded = functional_call(model, self._weights(best), (images, *given))
        return encoded, masks

    @cached_property
    def _copies(self) -> Int64Array:
        # The guide has seen the clips without a video too, and so have the scores fused with these.
        return copies_of_training(self.clips, self.everyone)

    def _table(self, logits_nk: Tensor, indices: Int64Array, part: str) -> ScoreTable:
        check_converging(logits_nk, f"logits of {part} are not finite", self.config.optim)
        return score_table(self.clips, indices, logits_nk, VIDEO, part, self._copies)

    def state(self, progress: Progress) -> TrainingState:
        """What a checkpoint holds."""
        config = comparable(self.config, self.guide.digest)
        summary = summarise("phase2", progress, config, self.clips.manifest.digest)
        return TrainingState([self.stream], self.mesh, summary)

    def load(self, folder: Path) -> Progress:
        """Restores the stream, and returns how far it had come."""
        config = comparable(self.config, self.guide.digest)
        progress = read_summary(folder, "phase2", config, self.clips.manifest.digest)
        self.stream.load(folder)
        return progress
