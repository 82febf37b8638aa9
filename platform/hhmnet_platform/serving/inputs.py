"""The recordings that a prediction is asked for: skeleton files and videos, lists and folders."""

import csv
import io
import re
from dataclasses import dataclass
from functools import cached_property

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder, locate, split_uri
from hhmnet_core.inputs.layout_mapping import find_joint_map, map_clip
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.sources.ntu import recordings as ntu
from hhmnet_core.sources.ntu.cleaning import clean_recording
from hhmnet_core.sources.ntu.skeleton_file import parse_skeleton
from hhmnet_core.sources.own.files import ENDINGS
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.sources.own.skeletons import Skeletons
from hhmnet_core.store.clips import Clip, check_clip
from hhmnet_platform.serving.videos import ENDINGS as VIDEOS
from hhmnet_platform.serving.videos import Filmed, VideoReader

NTU_ENDING = ".skeleton"
SKELETONS = (*ENDINGS, NTU_ENDING)
READ = (*SKELETONS, *VIDEOS)
LIST = ".csv"
MAX_FPS = 10_000
_COLUMNS = ("skeleton", "video", "sample_id", "fps")
_HIDDEN = re.compile(r"(?:.*/)?(?:\.|__MACOSX/).*")


@dataclass(frozen=True)
class Recorded:
    """A recording as the model reads it.

    Attributes:
        clip: Its skeleton, in the model's layout.
        fps: Its frames per second. None: unknown.
        filmed: The video that it comes from. None for a skeleton file.
        first: Frame of the file that is the first frame of the clip; those before show nobody.
    """

    clip: Clip
    fps: float | None
    filmed: Filmed | None = None
    first: int = 0


@dataclass(frozen=True)
class RecordingFile:
    """A file of a recording.

    Attributes:
        path: Path from the folder of all files, or URI.
        fps: Frames per second of its skeleton. None: unknown.
    """

    path: str
    fps: float | None


class RecordingFiles:
    """Recordings in files.

    Args:
        given: A file, a folder of files, which is searched at any depth, or a CSV that lists them
            in a column `skeleton` or `video`, relative to the folder of the CSV, and optionally
            `sample_id` and `fps`.
        target: Layout that the model reads.
        source: Layout of the files.
        reading: Interpretation of the files.
        videos: Reader of videos.
        fps: Frames per second where a list does not say them. None: unknown.
        ntu_align: Rotation of NTU's recordings by their first pose, as in the training data.

    Attributes:
        names: Names of the recordings: in the order of a list, else sorted.

    Raises:
        InputError: Nothing there, a list that cannot be read, or layouts without a map.
    """

    def __init__(
        self,
        given: str,
        target: Layout,
        source: Layout,
        reading: Reading,
        videos: VideoReader,
        fps: float | None = None,
        ntu_align: bool = False,
    ) -> None:
        if fps is not None and not 0 < fps <= MAX_FPS:
            raise InputError(f"fps must be above 0 and at most {MAX_FPS}, but is {fps}.")
        self.target, self.source, self.reading = target, source, reading
        self._videos = videos
        self.ntu_align = ntu_align
        self._folder, self._files = list_files(given, fps)
        has_skeletons = any(each.path.lower().endswith(ENDINGS) for each in self._files.values())
        self._map = find_joint_map(source, target) if has_skeletons else None
        self.names = list(self._files)

    def check(self) -> None:
        """Raise InputError where the axes of the files may be in another order than is read."""
        _ = self._skeletons.survey

    def version(self, name: str) -> str:
        """Return a token that changes with the file of a recording; "" where there is none."""
        place, file = locate(self._folder, self._files[name].path)
        try:
            return str(place.size(file)) + " " + place.version(file)
        except FileNotFoundError:
            return ""

    def is_video(self, name: str) -> bool:
        """Return whether a recording is a video, which takes longer to read than a skeleton."""
        return self._files[name].path.lower().endswith(VIDEOS)

    def read(self, name: str) -> Recorded:
        """Read a recording.

        Raises:
            InputError: It cannot be read, shows nobody, or does not fit the layout.
        """
        file = self._files[name]
        fps: float | None
        if self.is_video(name):
            filmed = self._videos.read(self._content(file.path, 1), name)
            return Recorded(filmed.posed.clip, filmed.fps, filmed, filmed.posed.first)
        if file.path.endswith(NTU_ENDING):
            clip, first = self._read_ntu(name)
            layout, fps = get_layout(ntu.LAYOUT), ntu.FRAMES_PER_SECOND
            found = find_joint_map(layout, self.target)
        else:
            _, done = self._skeletons.read(file.path, file.path)
            missing = done.missing if done.missing.any() else None
            clip = Clip(name, 0, 0, 0, 0, done.joints, missing=missing)
            layout, fps, found, first = self.source, file.fps, self._map, done.first
        check_clip(clip, layout, 1)
        return Recorded(map_clip(clip, found) if found else clip, fps, None, first)

    @cached_property
    def _skeletons(self) -> Skeletons:
        paths = [path for path in self._paths if path.lower().endswith(ENDINGS)]
        return Skeletons(self._folder, paths, self.source, self.reading)

    def _read_ntu(self, name: str) -> tuple[Clip, int]:
        """Return a clip, and its first frame in the file."""
        path = self._files[name].path
        content = self._content(path, TEXT_EXPANSION)
        cleaned = clean_recording(parse_skeleton(content, path), path, self.ntu_align)
        return Clip(name, 0, 0, 0, 0, cleaned.joints), int(cleaned.frames[0])

    def _content(self, path: str, expansion: int) -> bytes:
        place, name = locate(self._folder, path)
        try:
            return place.read(name, expansion)
        except FileNotFoundError as error:
            raise InputError(f"{path}: there is no such file.") from error

    @property
    def _paths(self) -> list[str]:
        return [each.path for each in self._files.values()]


def list_files(given: str, fps: float | None) -> tuple[Folder, dict[str, RecordingFile]]:
    """Return the folder of the recordings, and their files by name; see `RecordingFiles`."""
    whole = folder(given)
    if given.lower().endswith(LIST):
        place, name = split_uri(given)
        return place, _read_list(place, name, given, fps)
    if given.lower().endswith(READ):
        place, name = split_uri(given)
        if name not in place.names():
            raise InputError(f"There is no file at {given}: check the path.")
        return place, {name: RecordingFile(name, fps)}
    paths = [path for path in whole.walk() if path.lower().endswith(READ)]
    files = {path: RecordingFile(path, fps) for path in paths if not _HIDDEN.fullmatch(path)}
    if not files:
        raise InputError(
            f"--input {given} holds no recordings: expected a file, a folder or a CSV list of "
            f"{', '.join(SKELETONS)} or a video, or a clip store."
        )
    return whole, files


def _read_list(place: Folder, name: str, given: str, fps: float | None) -> dict[str, RecordingFile]:
    """Return the files of a CSV list by name."""
    try:
        text = place.read(name, TEXT_EXPANSION).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"There is no list at {given}: expected a CSV of recordings.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{given} is not a CSV in UTF-8 ({error}): save it as CSV UTF-8."
        ) from error
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = list(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{given} is not a CSV ({error}): save it as CSV UTF-8.") from error
    sources = [name for name in _COLUMNS[:2] if name in columns]
    if len(sources) != 1 or len(set(columns)) < len(columns):
        raise InputError(
            f"{given} has the columns {', '.join(map(str, columns)) or 'none'}, expected either "
            f"{_COLUMNS[0]} or {_COLUMNS[1]} and, where they apply, {', '.join(_COLUMNS[2:])}."
        )
    files: dict[str, RecordingFile] = {}
    for line, row in rows:
        where, path = f"{given}, line {line}", (row[sources[0]] or "").strip()
        expected = SKELETONS if sources == ["skeleton"] else VIDEOS
        if not path.lower().endswith(expected):
            raise InputError(f"{where}: {path!r} is no {', '.join(expected)} file.")
        sample_id = (row.get("sample_id") or path).strip()
        if sample_id in files:
            raise InputError(f"{where}: {sample_id} is in the list twice; give unique sample_ids.")
        files[sample_id] = RecordingFile(path, _frame_rate(row.get("fps"), fps, where))
    if not files:
        raise InputError(f"{given} lists no recordings.")
    return files


def _frame_rate(text: str | None, default: float | None, where: str) -> float | None:
    if not text or not text.strip():
        return default
    try:
        fps = float(text)
    except ValueError:
        fps = -1.0
    if not 0 < fps <= MAX_FPS:
        raise InputError(f"{where}: fps is {text!r}, expected a number above 0, up to {MAX_FPS}.")
    return fps
