"""The identity of a run: all that decides its result."""

from dataclasses import dataclass

from hhmnet_core.identity import JsonObject, differing, flat_identity, flat_values
from hhmnet_core.training.checkpoints import without_location
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config

DATA_DIGEST, GUIDE = "data.digest", "guide"


@dataclass(frozen=True)
class RunIdentity:
    """All that decides the result of a run: equal identities are one run.

    Attributes:
        config: The config. The location of its store is not part of the identity.
        data_digest: Digest of the data, sha256 in hex.
        guide: Digest of the weights that guide phase 2, or that phase 1 starts from. None: none.
    """

    config: Phase1Config | Phase2Config
    data_digest: str
    guide: str | None = None

    @property
    def values(self) -> JsonObject:
        """The identity by dotted names, from which the run's name is derived."""
        return self._with_digests(flat_identity(self.config))

    @property
    def params(self) -> JsonObject:
        """The whole config by dotted names, defaults included, and the digests."""
        return self._with_digests(flat_values(self.config))

    def differing(self, recorded: JsonObject) -> list[str]:
        """Return the names in which recorded `values` of this or an earlier version differ."""
        digests = self._with_digests({})
        config = {key: value for key, value in recorded.items() if key not in (DATA_DIGEST, GUIDE)}
        other = [key for key in (DATA_DIGEST, GUIDE) if recorded.get(key) != digests.get(key)]
        return sorted([*differing(config, without_location(self.config)), *other])

    def _with_digests(self, flat: JsonObject) -> JsonObject:
        for location in ("data.store", "init_from"):
            flat.pop(location, None)
        guide = {} if self.guide is None else {GUIDE: self.guide}
        return flat | {DATA_DIGEST: self.data_digest} | guide
