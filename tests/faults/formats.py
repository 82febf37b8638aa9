"""The table of file formats that the product reads: example, mutations and reader of each.

A new format joins by one entry in `FORMATS`. Its example is in `examples.py`, its reader in
`readers.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earlier_version import ENSEMBLE, FUSION
from faults.readers import (
    Reading,
    one_run,
    option_names,
    read_cached,
    read_checkpoints,
    read_classes,
    read_config,
    read_ctr_gcn,
    read_design,
    read_ensemble,
    read_fusion_file,
    read_guide,
    read_identity,
    read_journal,
    read_list,
    read_meshes,
    read_model,
    read_ntu,
    read_nw_ucla,
    read_outcomes,
    read_own,
    read_packed,
    read_poses,
    read_pyskl,
    read_result,
    read_scores,
    read_store,
    read_utd_mhad,
    whole_checkpoints,
)

from hhmnet_platform.datasets import builders
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.search.config import Phase1Search
from hhmnet_platform.storage.run_folder import SNAPSHOT


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        kind: Kind of its mutations: a key of `MUTATIONS`.
        example: Example that holds a valid file: a key of `EXAMPLES`.
        file: Glob pattern of the files in the example; a case spoils one of them.
        read: Reader: from the folder of the example to what the product makes of the file.
        checked: Whether a checksum covers all that the reader returns: then no other value may come
            out without a word. Without one, a mutation may make another valid file.
        names: Texts by which a refusal may name the file, beside the file's own name.
        is_copy: Whether the file is a copy, which may be written anew where it cannot be read.
        is_opened: Whether the reader opens the file itself; else it lies within another file then.
        equals: Values as good as that of the valid file, from the valid example: such as that of an
            older checkpoint, from which training comes to the same end.
    """

    kind: str
    example: str
    file: str
    read: Callable[[Path], Reading]
    checked: bool = False
    names: tuple[str, ...] = ()
    is_copy: bool = False
    is_opened: bool = True
    equals: Callable[[Path], tuple[Any, ...]] = lambda folder: ()


def _resumed(kind: str, file: str) -> Format:
    return Format(kind, "run", file, read_checkpoints, checked=True, equals=whole_checkpoints)


def _config(example: str, file: str, kind: type) -> Format:
    # The key that is wrong leads to the file as well as the file's own name does.
    return Format("yaml", example, file, read_config(file, kind), names=option_names(kind))


_CHECKPOINT = "runs/first/epoch-00002"
FORMATS: dict[str, Format] = {
    "manifest": Format(
        "json", "store", "store/manifest.json", read_store, checked=True, names=("the store",)
    ),
    "shard": Format("binary", "store", "store/clips-*.parquet", read_store, checked=True),
    "node cache": Format(
        "binary", "store", "cache/*.arrow", read_cached, checked=True, names=("cache folder",),
        is_copy=True,
    ),
    "result": Format("json", "run", "runs/first/result.json", read_result),
    "scores": Format("binary", "run", "runs/first/scores/*.parquet", read_scores, checked=True),
    "science": Format(
        "json", "run", "runs/first/science.json", read_identity, names=("Run first",)
    ),
    "tracked": Format(
        "json", "run", "runs/first/tracked.json", lambda at: Reading(one_run(at).is_tracked)
    ),
    "layouts": Format("json", "run", "runs/first/layouts.json", read_meshes),
    "snapshot": _resumed("json", f"runs/first/{SNAPSHOT}"),
    "state": _resumed("json", f"{_CHECKPOINT}/state.json"),
    "weights": _resumed("binary", f"{_CHECKPOINT}/*.safetensors"),
    "guide's state": Format(
        "json", "run", f"{_CHECKPOINT}/state.json", read_guide, checked=True
    ),
    "guide's weights": Format(
        "binary", "run", f"{_CHECKPOINT}/*.safetensors", read_guide, checked=True
    ),
    "config": _config("run", "runs/first/config.yaml", Phase1Job),
    "space": _config("search", "space.yaml", Phase1Search),
    "best": _config("search", "best.yaml", Phase1Job),
    "model": Format(
        "json", "model", "model/model.json", read_model, checked=True, names=("The model",)
    ),
    "model's weights": Format(
        "binary", "model", "model/*.safetensors", read_model, checked=True
    ),
    "list of recordings": Format(
        "csv", "model", "list.csv", read_list, names=("there is no such file", "cannot be read")
    ),
    "class map": Format("yaml", "model", "classes.yaml", read_classes),
    "journal": Format("json", "search", "study.journal", read_journal),
    "fusion": Format(
        "json", "workspace", f"workspace/fusions/{FUSION}/fusion.json", read_fusion_file
    ),
    "ensemble": Format(
        "json", "workspace", f"workspace/ensembles/{ENSEMBLE}/ensemble.json", read_ensemble
    ),
    "own layout": Format("yaml", "own", "stick.yaml", read_own),
    "own table": Format("csv", "own", "clips.csv", read_own),
    "own npz": Format("binary", "own", "[ab].npz", read_own),
    "own npy": Format("binary", "own", "c.npy", read_own),
    "own json": Format("json", "own", "d.json", read_own),
    "pyskl": Format("pickle", "field", "field.pkl", read_pyskl),
    "ctr_gcn": Format("binary", "field", "field.npz", read_ctr_gcn),
    "avi": Format("binary", "own", "a.avi", read_own),
    "mp4": Format("binary", "own", "b.mp4", read_own),
    "table of videos": Format("csv", "poses", "videos.csv", read_poses),
    "NW-UCLA": Format("json", "nw_ucla", "files/all_sqe/*.json", read_nw_ucla),
    "NW-UCLA zip": Format(
        "binary", "nw_ucla", "nw_ucla.zip", read_packed(builders.prepare_nw_ucla, packs=False)
    ),
    "NTU": Format("text", "ntu", "files/*.skeleton", read_ntu),
    "NTU in a zip": Format(
        "text", "ntu", "files/*.skeleton", read_packed(builders.prepare_ntu, packs=True),
        is_opened=False,
    ),
    "NTU zip": Format("binary", "ntu", "files.zip", read_packed(builders.prepare_ntu, packs=False)),
    "UTD-MHAD": Format(
        "binary", "utd_mhad", "*_skeleton.mat", read_utd_mhad, names=("a1_s1_t1", "a1_s2_t1")
    ),
    "UTD-MHAD depth": Format("binary", "utd_mhad", "*_depth.mat", read_utd_mhad),
    "design": Format(
        "yaml", "ablation", "design.yaml", read_design, names=("Variant", "reference")
    ),
    "outcomes": Format("json", "ablation", "outcomes.jsonl", read_outcomes),
}  # fmt: skip
