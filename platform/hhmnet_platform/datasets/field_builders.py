"""Builders of clip stores from files of the field's other code: commands of `hhmnet prepare`.

The docstrings are their `--help`.
"""

from hhmnet_core.checks.names import check_name
from hhmnet_core.skeleton.missing import OnMissing
from hhmnet_core.sources import ctr_gcn, pyskl
from hhmnet_core.store.building import OnError
from hhmnet_core.store.writing import StoreDescription
from hhmnet_platform.datasets.layouts import load_layout
from hhmnet_platform.datasets.prepare import Prepared, Recipe, prepare

SHARD_CLIPS = 1024


def prepare_pyskl(
    source: str,
    store: str,
    layout: str = "",
    classes: list[str] | None = None,
    name: str = "",
    missing: OnMissing = "hold",
    min_confidence: float = 0.0,
    seed: int = 1,
    on_error: OnError = "fail",
    overwrite: bool = False,
) -> Prepared:
    """Prepare an annotation file of PYSKL or MMAction2: a pickle of skeletons with their splits.

    Args:
        source: Pickle with annotations (frame_dir, label, keypoint, keypoint_score, total_frames)
            and split. It is read without running anything that it names.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        layout: Skeleton layout, or a YAML file of your own. Default: the built-in layout with as
            many joints and coordinates.
        classes: Labels in the order of their numbers. Default: the numbers.
        name: Name of the data set. Default: that of the file.
        missing: Treatment of joints whose position is NaN, exactly 0 or -1, or of low confidence
            while their body is visible: refuse stops, hold repeats the last known position,
            interpolate draws a line between the known ones before and after.
        min_confidence: Smallest keypoint_score of a known joint, 0 to 1. The field uses all.
        seed: Random seed of the draw of val, where names of clips give no subjects.
        on_error: Reaction to a clip that cannot be used: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The source is missing, damaged or no such file, or the store was made from
            another source, is damaged or cannot be written.
    """
    own_layout = load_layout(layout) if layout else None
    recordings = pyskl.Recordings(source, own_layout, classes or (), missing, min_confidence, seed)
    return prepare(_recipe(recordings, name), store, on_error, overwrite)


def prepare_ctr_gcn(
    source: str,
    store: str,
    layout: str = ctr_gcn.LAYOUT,
    classes: list[str] | None = None,
    name: str = "",
    seed: int = 1,
    on_error: OnError = "fail",
    overwrite: bool = False,
) -> Prepared:
    """Prepare an .npz of CTR-GCN's scripts, such as NTU60_CS.npz: padded arrays, one-hot labels.

    Args:
        source: File with x_train, y_train, x_test and y_test.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        layout: Skeleton layout, or a YAML file of your own.
        classes: Labels in the order of their numbers. Default: the numbers.
        name: Name of the data set. Default: that of the file.
        seed: Random seed of the draw of val, a tenth of the training clips of each class.
        on_error: Reaction to a clip that cannot be used: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The source is missing, damaged or no such file, or the store was made from
            another source, is damaged or cannot be written.
    """
    with ctr_gcn.Recordings(source, load_layout(layout), classes or (), seed) as recordings:
        return prepare(_recipe(recordings, name), store, on_error, overwrite)


def _recipe(recordings: pyskl.Recordings | ctr_gcn.Recordings, name: str) -> Recipe:
    description = StoreDescription(
        check_name(name or recordings.dataset, "data set name"),
        recordings.layout,
        recordings.class_names,
        recordings.protocols,
        recordings.fingerprint(),
    )
    return Recipe(description, recordings, SHARD_CLIPS, notes=recordings.notes)
