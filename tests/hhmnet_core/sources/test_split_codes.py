"""Splits by names of clips as rules on a number: every clip is where its lists put it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmnet_core.sources.split_codes import Membership, encode_splits
from hhmnet_core.store.protocols import LITERATURE, VAL, apply_protocol


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_rules_give_the_lists_again(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(40)]
    labels = {name: int(random.integers(3)) for name in names}
    protocols = {}
    for protocol in ("a", "b"):
        split = random.integers(3, size=len(names))
        train, test = (frozenset(np.array(names)[split == k].tolist()) for k in (0, 1))
        protocols[protocol] = Membership(train, test)
    setup_of, rules = encode_splits(labels, protocols, seed)
    groups = {"setup": np.array([setup_of[name] for name in names])}
    groups |= {field: np.zeros(len(names), np.int64) for field in ("subject", "camera")}
    for protocol, lists in protocols.items():
        whole, held = (
            apply_protocol(groups, rules[protocol], selection) for selection in (LITERATURE, VAL)
        )
        train, val, test = (
            {names[at] for at in indices} for indices in (held.train, held.val, held.test)
        )
        assert {names[at] for at in whole.train} == lists.train == train | val
        assert test == lists.test and not train & val
        for label in range(3):
            count = sum(labels[name] == label for name in lists.train)
            drawn = sum(labels[name] == label for name in val)
            assert drawn == (min(max(1, round(count / 10)), count - 1) if count else 0)
