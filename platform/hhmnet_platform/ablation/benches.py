"""Benches of phase 1: a design's data, opened and checked before anything is trained."""

from dataclasses import dataclass, replace

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import fold_of, protocol_name
from hhmnet_core.training.optim import with_epochs
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.design import BenchDesign
from hhmnet_platform.ablation.grid import Bench
from hhmnet_platform.overrides import checked_overrides
from hhmnet_platform.storage.workspace import absolute_uri

# Decisions that are taken on them would be tuned to the figures that are published.
_FINAL = {"nw_ucla": ("12-3", "13-2", "23-1")}


@dataclass(frozen=True)
class TrainingLength:
    """Sets a config's epochs.

    Attributes:
        clips: Clips of the config's store.
        steps: Number of training steps, to the nearest whole epoch; the warm-up keeps its share of
            the training. 0: the config's epochs, or its default on these clips.
    """

    clips: ClipSet
    steps: int

    def __call__(self, config: Phase1Config) -> Phase1Config:
        clips = len(split_of(self.clips, config.data, config.seed).train)
        optim = with_epochs(config.optim, clips)
        if self.steps:
            epochs = max(1, round(self.steps / -(-clips // optim.batch)))
            optim = replace(optim, epochs=epochs, warmup=optim.warmup * epochs / optim.epochs)
        return replace(config, optim=optim)


def open_bench(
    design: BenchDesign, config: Phase1Config, seeds: list[int], decides: bool
) -> Bench[Phase1Config]:
    """Return a bench whose store and split have been checked.

    Args:
        design: The data.
        config: Config of the whole.
        seeds: Seeds where the bench has none of its own.
        decides: Whether a decision is taken on it.

    Raises InputError where a field, the store or the split cannot be used, or the protocol is kept
    for final figures.
    """
    data = replace(
        config.data,
        store=design.store or config.data.store,
        protocol=design.protocol or config.data.protocol,
        selection=design.selection or config.data.selection,
    )
    if not data.store:
        raise InputError(
            "A bench has no store: give one that `hhmnet prepare` made, as --data.store or "
            "as the bench's store."
        )
    where = f"Bench {design.name or design.protocol!r}"
    data = replace(data, store=absolute_uri(data.store))
    config = checked_overrides(replace(config, data=data), design.config, where)
    clips = load_training_clips(config.data)
    protocol = protocol_name(clips.manifest.protocols, data.protocol)
    if decides and protocol in _FINAL.get(clips.manifest.dataset, ()):
        raise InputError(
            f"Protocol {protocol} of {clips.manifest.dataset} is kept for final figures: take "
            "decisions on 1-2 and 2-1, or set threshold: null for a table without decisions."
        )
    split_of(clips, config.data, 1)
    fold = [data.selection] if fold_of(data.selection) else []
    name = design.name or " ".join([clips.manifest.dataset, protocol, *fold])
    return Bench(name, config, design.seeds or seeds, TrainingLength(clips, design.steps))
