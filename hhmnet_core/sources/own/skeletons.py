"""Skeleton files that are read alike: those of one data set, or of one call.

Some readings are right or wrong for all of the files together only (see `survey`), so all of them
are measured before the first one becomes a clip.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, locate
from hhmnet_core.skeleton.axes import check_shapes
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import Completed, complete, known_joints
from hhmnet_core.sources.own.files import check_ending, expansion_of, parse_skeleton_file
from hhmnet_core.sources.own.poses import Poses, Reading, arrange_poses
from hhmnet_core.sources.own.survey import (
    Measured,
    always_zero,
    common_origin,
    first_pose,
    measure,
)

MISSING = "missing"


@dataclass(frozen=True)
class Survey:
    """What the skeleton files have in common.

    Attributes:
        digests: sha256 (hex) of each file, by path; "missing" for one that cannot be read.
        measured: Measures of each file that can be read, by path.
        zero: Joints that are zero in every frame of every file.
        origin: Joints that are zero in the first pose of every file, on which it is centred.
    """

    digests: dict[str, str]
    measured: dict[str, Measured]
    zero: frozenset[int]
    origin: frozenset[int]


class Skeletons:
    """Skeleton files. It can be pickled.

    Args:
        folder: Folder from which their paths lead.
        paths: Their paths from there, or URIs.
        layout: Layout of the skeletons.
        reading: Interpretation of the files.
    """

    def __init__(
        self, folder: Folder, paths: Iterable[str], layout: Layout, reading: Reading
    ) -> None:
        self._folder, self._paths = folder, list(dict.fromkeys(paths))
        self.layout, self.reading = layout, reading

    @cached_property
    def survey(self) -> Survey:
        """What the files have in common.

        Raises InputError where the files' axes may be in another order than they are read in.
        """
        measured: dict[str, Measured] = {}
        digests: dict[str, str] = {}
        for path in self._paths:
            digests[path] = MISSING
            try:
                content = self._content(path, path)
                digests[path] = hashlib.sha256(content).hexdigest()
                poses = self._parse(content, path, path)
            except AccessError:
                raise
            except InputError:  # reading the clip reports it
                continue
            known_mtv = known_joints(
                poses.joints, frozenset(), poses.confidence, self.reading.min_confidence
            )
            measured[path] = measure(poses.shape, poses.joints, known_mtv, self.layout)
        if not self.reading.axes:
            check_shapes({path: each.shape for path, each in measured.items()}, self.layout)
        zero = always_zero(measured.values(), self.layout)
        return Survey(digests, measured, zero, common_origin(measured.values()))

    def read(self, path: str, where: str) -> tuple[Poses, Completed]:
        """Return the poses of a file, and its joints without padding and gaps.

        Args:
            path: Path of the file.
            where: Description of the file, for messages.

        Raises:
            InputError: The file is missing, unreadable, not of the layout, shows nobody, or lacks
                joints that are to be refused; the message names it.
        """
        poses = self._parse(self._content(path, where), path, where)
        known_mtv = known_joints(
            poses.joints, self.survey.zero, poses.confidence, self.reading.min_confidence
        )
        if (start := first_pose(known_mtv)) is not None:
            known_mtv[(*start, sorted(self.survey.origin))] = True
        return poses, complete(poses.joints, known_mtv, self.layout, self.reading.missing, where)

    def _content(self, path: str, where: str) -> bytes:
        folder, name = locate(self._folder, path)
        check_ending(name, where)
        try:
            return folder.read(name, expansion_of(name))
        except FileNotFoundError as error:
            raise InputError(f"{where}: there is no such file.") from error

    def _parse(self, content: bytes, path: str, where: str) -> Poses:
        array, pixels = parse_skeleton_file(content, path, where)
        try:
            return arrange_poses(array, pixels, self.layout, self.reading.axes)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
