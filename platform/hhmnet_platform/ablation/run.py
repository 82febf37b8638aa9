"""Running an ablation: the missing runs under Ray Tune, its tables, and its pages in MLflow."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.identity import JsonObject, flattened
from hhmnet_core.passwords import without_password
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.ablation.journal import AblationPage, Journal
from hhmnet_platform.ablation.plan import Ablation, AblationOptions, print_plan, side_by_side
from hhmnet_platform.ablation.tune import tune_runs
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.hashing import run_name
from hhmnet_platform.storage.line_files import local_path
from hhmnet_platform.storage.record_files import format_record
from hhmnet_platform.storage.run_folder import exclusive_folder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri

IDENTITY, OUTCOMES = "ablation.json", "outcomes.jsonl"


def run_ablation(ablation: Ablation, options: AblationOptions) -> None:
    """Train the missing runs of an ablation, print its tables, and write its pages in MLflow.

    Raises InputError for anything the user can cause, SystemExit where runs failed.
    """
    if options.processes is not None and options.processes < 1:
        raise InputError(f"processes must be at least 1, but is {options.processes}.")
    workspace = Workspace(absolute_uri(options.workspace))
    uri = workspace.tracking_uri(options.tracking_uri)
    name = options.name or run_name(ablation.dataset, "ablation", ablation.identity)
    place = workspace.derived("ablations", name)
    file = _outcomes_file(options.out) if options.out else f"{place}/{OUTCOMES}"
    if options.dry_run:
        _check_identity(name, place, ablation.identity, _read_identity(folder(place)))
        print_plan(ablation, options, name, file)
        return
    workspace.check_writable()
    with _claimed(name, place, ablation.identity):
        ablation, finished = ablation.with_finished(file)
        artifacts = workspace.artifacts(options.tracking_uri)
        page = AblationPage(ablation, name, uri, artifacts, finished)
        journal = Journal(ablation, file, finished, page)
        with page.ended_on_errors(), journal.told_when_interrupted():
            _train_missing(ablation, options, name, journal)
            if journal.finished:
                tables = ablation.tables(ablation.in_order(journal.finished))
                print(f"\n{tables}\n", flush=True)
            page.finish(journal.finished, "FAILED" if journal.failures else "FINISHED")
    print(f"Outcomes {without_password(file)}")
    print(f"MLflow   {without_password(uri)}, {page.place}", flush=True)
    journal.check_failures()


def _train_missing(
    ablation: Ablation, options: AblationOptions, name: str, journal: Journal
) -> None:
    """Start or join Ray and train what is missing, if anything is."""
    missing, total = journal.missing(), len(ablation.tasks)
    if not missing:
        print(f"ablation {name}: {total} runs are done already")
        return
    with ray_session(log_workers=options.log_workers) as resources:
        if resources.is_cluster:
            _check_nodes(options.workspace, ablation.stores)
        number = side_by_side(options, resources, len(missing))
        print(
            f"ablation {name}: {len(missing)} of {total} runs are left, {number} side by side",
            flush=True,
        )
        tune_runs(ablation.subject.train, missing, number, journal.end)


def _check_nodes(workspace: str, stores: Sequence[str]) -> None:
    """Raise InputError, naming the node, where a node of the cluster cannot train runs."""
    from hhmnet_platform.cluster.preflight import check_nodes  # imports Ray

    for store in stores:
        check_nodes(absolute_uri(workspace), store, load_clips(store))


def _outcomes_file(out: str) -> str:
    """Return an absolute path or URI. Raises InputError where the folder does not exist."""
    path = local_path(out)
    if path is None:
        return out
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent} for {path}: make it first.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file: give another --out.")
    return str(path)


@contextmanager
def _claimed(name: str, place: str, identity: JsonObject) -> Iterator[None]:
    """Keep other processes from an ablation.

    Raises InputError where one is running it, or where it exists with another identity.
    """
    files = folder(place)
    lock: AbstractContextManager[None] = nullcontext()
    if files.is_local:
        Path(place).mkdir(parents=True, exist_ok=True)
        message = f"The ablation {name} is being run by another process"
        lock = exclusive_folder(Path(place), message)
    with lock:
        recorded = _read_identity(files)
        _check_identity(name, place, identity, recorded)
        if recorded is None:
            files.write(IDENTITY, format_record(identity))
        yield


def _check_identity(name: str, place: str, identity: JsonObject, known: JsonObject | None) -> None:
    now, then = flattened(identity), flattened(identity if known is None else known)
    if differing := sorted(key for key in {*now, *then} if now.get(key) != then.get(key)):
        raise InputError(
            f"The ablation {name} exists with another {', '.join(differing)}: give another "
            f"--name, or the values that it was started with, which are in {place}/{IDENTITY}."
        )


def _read_identity(files: Folder) -> JsonObject | None:
    """Return what an ablation was started with; None where it has not been."""
    try:
        recorded = parse_json(files.read(IDENTITY))
    except FileNotFoundError:
        return None
    except ValueError:
        recorded = None
    if not isinstance(recorded, dict):
        raise InputError(
            f"{IDENTITY} in {files.uri} is not a JSON object: delete that file, and give the "
            "ablation's command again; its outcomes are kept."
        )
    return recorded
