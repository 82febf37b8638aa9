"""Splits by a config."""

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import keep_share, split_clips


def test_a_config_says_what_is_split_how(tiny_clips: ClipSet) -> None:
    whole = split_of(tiny_clips, StoreConfig(), seed=3)
    expected = split_clips(tiny_clips, "", "val")
    np.testing.assert_array_equal(whole.train, expected.train)
    half = split_of(tiny_clips, StoreConfig(train_share=0.5), seed=3)
    np.testing.assert_array_equal(half.train, keep_share(expected, tiny_clips.labels, 0.5, 3).train)
    np.testing.assert_array_equal(half.test, whole.test)


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_shares_out_of_range(share: float) -> None:
    with pytest.raises(InputError, match=r"data\.train_share"):
        StoreConfig(train_share=share)
