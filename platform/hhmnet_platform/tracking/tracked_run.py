"""The data of a run that MLflow holds beside its metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hhmnet_platform.tracking.datasets import TrackedSplit
from hhmnet_platform.tracking.tables import Table


@dataclass(frozen=True)
class TrackedRun:
    """Everything about a run that MLflow holds and that is known before it starts.

    Attributes:
        uri: MLflow tracking URI.
        experiment: Name of the experiment.
        artifacts: Folder or URI for the artifacts of a new experiment. "" leaves it to MLflow.
        name: Name of the run.
        members: Members of the run, the fusion last. It is the parent run, the others are its
            children.
        params: Flat config.
        tags: Tags of the parent and of every child.
        dataset: Name of the data set.
        digest: Digest of the data set.
        store: Folder or URI of the data set.
        parent: MLflow id of the search's run that the run is listed under. "" for none.
        title: Name shown in MLflow, such as the values of a trial. Default: the run's name.
        splits: Clips of train, val and test.
        has_video: Whether the data set has videos.
    """

    uri: str
    experiment: str
    artifacts: str
    name: str
    members: tuple[str, ...]
    params: Mapping[str, object]
    tags: Mapping[str, str]
    dataset: str
    digest: str
    store: str
    parent: str = ""
    title: str = ""
    splits: tuple[TrackedSplit, ...] = ()
    has_video: bool = False


@dataclass(frozen=True)
class NodeSample:
    """The mean use of a node over some time.

    Attributes:
        timestamp: End of that time, milliseconds since 1970.
        epoch: Number of completed epochs then.
        host: Name of the node.
        used: Values by the names of MLflow's system metrics, such as "cpu_utilization_percentage".
    """

    timestamp: int
    epoch: int
    host: str
    used: Mapping[str, float]


@dataclass(frozen=True)
class Ending:
    """The data that is written once, when a run ends.

    Attributes:
        status: FINISHED, FAILED or KILLED.
        files: Contents by artifact path, for each member.
        tags: Tags that are known only now, of the parent and of every child.
        model: Folder of the run's model, which the parent holds. "" for none.
        tables: Tables by artifact path, for each member.
        notes: Markdown for the page of each member.
        params: Params of the parent that are known only now.
    """

    status: str
    files: Mapping[str, Mapping[str, bytes]]
    tags: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    tables: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
