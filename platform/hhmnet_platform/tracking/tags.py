"""Names of the MLflow tags that this platform writes; never change one, older runs carry them."""

PREFIX = "hhmnet."

# Identity of a run.
RUN = "hhmnet.run"  # name of the run, on its parent and on every child
MODALITY = "hhmnet.modality"  # the member that an MLflow run holds: a modality, video or fusion
PHASE = "hhmnet.phase"  # phase1, phase2, search, fusion, ensemble, ablation or ablation_trial
DERIVED = "hhmnet.derived"  # name of a search, a fusion, an ensemble or an ablation
SEARCH = "hhmnet.search"  # the study that a trial belongs to
ABLATION = "hhmnet.ablation"  # the ablation that a trial belongs to
TRIAL = "hhmnet.trial"  # key of a trial of an ablation
GUIDE = "hhmnet.phase1"  # the phase-1 run that guides a phase-2 run
MEMBERS = "hhmnet.members"  # run ids of an ensemble's members, as JSON

# Identity of a logged model and of its registered version, beside the training data and, as
# hhmnet.<figure>, the figures of its description.
MODEL_DIGEST = "hhmnet.model_digest"  # sha256 of model.json, which holds those of the weights
MODEL_NAME = "hhmnet.name"  # name of the run, fusion or ensemble
MODEL_KIND = "hhmnet.kind"  # phase1, phase2, fusion or ensemble

# Training data.
DATASET = "hhmnet.dataset"
PROTOCOL = "hhmnet.protocol"
SELECTION = "hhmnet.selection"
DATA_DIGEST = "hhmnet.data_digest"
STORE = "hhmnet.store"

# Workers and software.
WORKERS = "hhmnet.workers"
MODALITY_PARALLEL = "hhmnet.modality_parallel"
MESH_HISTORY = "hhmnet.layouts"  # worker meshes of an elastic run, in order
DEVICE = "hhmnet.device"
OPEN_CLUSTER = "hhmnet.open_cluster"  # "true" for a run on a cluster without a token
HOST = "hhmnet.host"
PYTHON = "hhmnet.python"
GIT_COMMIT = "hhmnet.git_commit"
GIT_DIRTY = "hhmnet.git_dirty"

# MLflow's own, which its pages show or use.
MLFLOW_PARENT = "mlflow.parentRunId"  # id of the run that this one is listed under
MLFLOW_NOTE = "mlflow.note.content"  # Markdown at the top of the page
MLFLOW_COLOUR = "mlflow.runColor"
MLFLOW_SOURCE = "mlflow.source.name"
MLFLOW_SOURCE_TYPE = "mlflow.source.type"
MLFLOW_TABLES = "mlflow.loggedArtifacts"  # artifacts that it shows as tables, as JSON
MLFLOW_KIND = "mlflow.experimentKind"  # of an experiment
MLFLOW_USER = "mlflow.user"
MLFLOW_COMMIT = "mlflow.source.git.commit"
MLFLOW_VERSIONS = "mlflow.modelVersions"  # registered versions of a logged model, as JSON
