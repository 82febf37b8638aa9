"""The table of commands, in the order in which one uses them."""

from __future__ import annotations

from hhmnet_platform.commands import loaders
from hhmnet_platform.scripts.entry import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Command:
    """A command.

    Attributes:
        words: Words after `hhmnet`, such as "train phase1".
        deed: Participle of its verb, such as "trained", for headings of its help.
        summary: Sentence about it.
        load: Function that imports it; see `loaders`.
        examples: Calls as they are typed, each beginning with `hhmnet`.
    """

    def __init__(
        self,
        words: str,
        deed: str,
        summary: str,
        load: Callable[[], loaders.Loaded],
        *examples: str,
    ) -> None:
        self.words, self.deed, self.summary, self.load = words, deed, summary, load
        self.examples: Sequence[str] = [f"hhmnet {words} {each}".rstrip() for each in examples]


ABOUT = (
    "Train, search, ensemble and apply networks that recognise actions in skeletons and video.",
    [
        "hhmnet pipeline  # a demo without download, in about ten minutes",
        "hhmnet train phase1 --config nw_ucla_cpu --data.store data/nw_ucla",
    ],
)

# How a group of commands is listed, and what its commands do.
GROUPS = {
    "prepare": ("prepare SOURCE", "Make a clip store of a data set, or verify one."),
    "train": ("train phase1|phase2", "Train encoders of skeletons, or the video network."),
    "search": (
        "search phase1|phase2|fusion",
        "Search fields of a config, or fusion weights, on validation.",
    ),
    "ablate": ("ablate phase1|phase2", "Train a config whole and without each of its parts."),
    "runs": ("runs list|show|delete", "List, show and delete the runs of a workspace."),
}
ALIASES = {"prepare describe": "describe"}
# Where no further word is given.
DEFAULTS = {"search": "search phase1", "ablate": "ablate phase1", "runs": "runs list"}

_COMMANDS = (
    Command(
        "prepare nw_ucla",
        "prepared",
        "Prepare Northwestern-UCLA: 10 actions seen by 3 cameras, skeletons of 20 joints, video.",
        loaders.prepare_nw_ucla,
        "--source all_sqe.zip --store data/nw_ucla",
        "--source all_sqe.zip --videos multiview_action_videos/ --store data/ucla_v",
    ),
    Command(
        "prepare ntu",
        "prepared",
        "Prepare NTU RGB+D 60 or 120: actions seen by 3 cameras, skeletons of 25 joints, video.",
        loaders.prepare_ntu,
        "--source nturgbd_skeletons_s001_to_s017.zip --store data/ntu60 --edition 60",
        "--source skeletons/ --store s3://bucket/ntu120 --edition 120 --workers 32",
    ),
    Command(
        "prepare utd_mhad",
        "prepared",
        "Prepare UTD-MHAD: 27 actions seen by one camera, skeletons of 20 joints, video.",
        loaders.prepare_utd_mhad,
        "--source UTD-MHAD.zip --store data/utd_mhad",
        "--source UTD-MHAD.zip --store data/utd_mhad --stream depth --video.size 64",
    ),
    Command(
        "prepare own",
        "prepared",
        "Prepare your own data: a CSV file of clips, and a file of joints for each of them.",
        loaders.prepare_own,
        "--index clips.csv --layout kinect_v2_25 --store data/mine",
        "--index clips.csv --layout joints.yaml --store data/mine --classes walk run",
    ),
    Command(
        "prepare poses",
        "prepared",
        "Prepare videos: estimate the skeletons of the people in them, and keep cropped images.",
        loaders.prepare_poses,
        "--videos films/ --labels videos.csv --store data/films",
        "--videos films/ --labels videos.csv --store data/films --workers 8",
    ),
    Command(
        "prepare pyskl",
        "prepared",
        "Prepare an annotation file of PYSKL or MMAction2: a pickle of skeletons and their splits.",
        loaders.prepare_pyskl,
        "--source ntu60_hrnet.pkl --store data/ntu60_2d",
        "--source ntu60_3danno.pkl --store data/ntu60_3d --layout kinect_v2_25",
    ),
    Command(
        "prepare ctr_gcn",
        "prepared",
        "Prepare an .npz of CTR-GCN's scripts, such as NTU60_CS.npz: padded skeletons, labels.",
        loaders.prepare_ctr_gcn,
        "--source NTU60_CS.npz --store data/ntu60",
        "--source NTU60_CS.npz --store data/ntu60 --overwrite",
    ),
    Command(
        "prepare synthetic",
        "prepared",
        "Make synthetic data: 21 or 60 parametric actions, 10 subjects, 3 cameras, video.",
        loaders.prepare_synthetic,
        "--store data/synthetic",
        "--store data/harder --classes 60 --stream none",
    ),
    Command(
        "prepare verify",
        "verified",
        "Check a clip store for damage: read every shard and compare it with its digest.",
        loaders.verify,
        "--store data/nw_ucla",
        "--store s3://bucket/ntu120",
    ),
    Command(
        "describe",
        "described",
        "Print and draw the content of a clip store.",
        loaders.describe,
        "--store data/nw_ucla",
        "--store data/nw_ucla --figure nw_ucla.png",
    ),
    Command(
        "train phase1",
        "trained",
        "Train phase 1: encoders of four skeletal modalities, tied by contrast.",
        loaders.train_phase1,
        " # a demo, on synthetic data",
        "--config nw_ucla_cpu --data.store data/nw_ucla --workers 2",
    ),
    Command(
        "train phase2",
        "trained",
        "Train phase 2: a video network guided by a finished phase-1 run, and fuse the two.",
        loaders.train_phase2,
        " # a demo, after that of phase 1",
        "--config phase2_nw_ucla --phase1 RUN --data.store data/nw_ucla",
    ),
    Command(
        "pipeline",
        "trained",
        "Train both phases, fuse them and select an ensemble.",
        loaders.pipeline,
        " # a demo without download, in about ten minutes",
        "--data.store data/utd --phase1.data.normalise_size --dry_run",
    ),
    Command(
        "test",
        "tested",
        "Test a trained model on the clips of a store.",
        loaders.test,
        "--model NAME --data.store data/nw_ucla",
        "--model NAME --data.store data/other --data.split all --class_map classes.yaml",
    ),
    Command(
        "predict",
        "predicted",
        "Predict the actions of recordings, of a camera or of a stream.",
        loaders.predict,
        "--model NAME --input clip.npy",
        "--model NAME --input recordings/ --window 2s --fps 30 --out actions.csv",
    ),
    Command(
        "export",
        "exported",
        "Export a trained model as a folder, as ONNX or as pt2.",
        loaders.export,
        "--model NAME --out model/",
        "--model NAME --format onnx --out model.onnx",
    ),
    Command(
        "serve",
        "served",
        "Serve a trained model over HTTP, with a page for a browser.",
        loaders.serve,
        "--model NAME",
        "--model NAME --host 0.0.0.0 --token_file token",
    ),
    Command(
        "search phase1",
        "searched",
        "Search hyper-parameters of phase 1 on validation, with Optuna's TPE and ASHA under Tune.",
        loaders.search_phase1,
        "--config search_nw_ucla_cpu --data.store data/nw_ucla",
        "--space '{optim.lr: {low: 1e-4, high: 1e-2, log: true}}' --trials 40",
    ),
    Command(
        "search phase2",
        "searched",
        "Search hyper-parameters of phase 2 by the video's top-1 on validation.",
        loaders.search_phase2,
        "--phase1 RUN --space '{parts.temperature: {low: 0.03, high: 0.5, log: true}}'",
        "--phase1 RUN --space '{guidance.mode: {choices: [learned, off]}}' --trials 8",
    ),
    Command(
        "search fusion",
        "searched",
        "Search the weights that fuse finished runs, with Optuna on validation or out of fold.",
        loaders.search_fusion,
        "--runs RUN RUN",
        "--runs RUN RUN --folds 5  # for runs without a validation split",
    ),
    Command(
        "fuse",
        "fused",
        "Fuse finished runs with equal and published weights.",
        loaders.fuse,
        "--runs RUN",
        "--runs RUN RUN --workspace s3://bucket/workspace",
    ),
    Command(
        "ensemble",
        "selected",
        "Select an ensemble from an MLflow experiment, on validation.",
        loaders.ensemble,
        "--experiment nw_ucla/12-3",
        "--experiment nw_ucla/12-3 --filter \"params.seed = '1'\"",
    ),
    Command(
        "ablate phase1",
        "trained",
        "Train phase 1 whole and without each of its parts, over seeds, as trials of Ray Tune.",
        loaders.ablate_phase1,
        "--config nw_ucla_cpu --data.store data/nw_ucla",
        "--config nw_ucla_cpu --data.store data/nw_ucla --variants_file bench_re_dmt",
    ),
    Command(
        "ablate phase2",
        "trained",
        "Train phase 2 with guidance and part contrast on, off and exchanged, over seeds.",
        loaders.ablate_phase2,
        "--data.store data/utd --phase1 RUN",
        "--config phase2_utd_mhad_cpu --data.store data/utd --phase1 RUN --seeds 1 2 3",
    ),
    Command(
        "runs list",
        "listed",
        "List the runs of a workspace: figures, state, size on disk.",
        loaders.list_runs,
        "",
        "--workspace results",
    ),
    Command(
        "runs show",
        "shown",
        "Show runs: the accuracy of each network, where the files are, what they take on disk.",
        loaders.show_runs,
        "--runs RUN",
        "--runs RUN RUN --workspace results",
    ),
    Command(
        "runs delete",
        "deleted",
        "Delete runs with their checkpoints, MLflow runs and models, after asking.",
        loaders.delete_runs,
        "--runs RUN",
        "--runs RUN RUN --yes",
    ),
    Command(
        "ui",
        "opened",
        "Open MLflow on the runs of a workspace, until Ctrl-C.",
        loaders.ui,
        "",
        "--workspace results --port 5001 --login",
    ),
)
COMMANDS = {each.words: each for each in _COMMANDS}
