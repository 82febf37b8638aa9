"""The clips of train, val and test by a config."""

from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import Split, keep_share, split_clips


def split_of(clips: ClipSet, data: StoreConfig, seed: int) -> Split:
    """Return the split of a config: its protocol, its selection, its share of training clips.

    Args:
        clips: Clips of the config's store.
        data: Training data of the config.
        seed: Seed of the config, which draws the share.

    Raises:
        InputError: As `split_clips`.
    """
    split = split_clips(clips, data.protocol, data.selection)
    return keep_share(split, clips.labels, data.train_share, seed)
