"""Make, compare and export runs."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.api.run import Run, open_run
from competency_gaps.embedded import DEMO_CONFIG, MODELS
from competency_gaps.embedded.weights import local_weights
from competency_gaps.items.config import ItemsConfig, ModelConfig, RunConfig, parse_config, read_yaml
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.findings.compare import Comparison
    from competency_gaps.model.load import LanguageModel
    from competency_gaps.view.page.export import Exported


def run(
    config: ItemsConfig | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    model: LanguageModel | None = None,
    store: str | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Run:
    """Make a run: score the benchmarks, read the concepts, compute the metrics, write the report.

    Parameters
    ----------
    config
        A :class:`RunConfig`, a mapping of the same keys, or a YAML file. Without ``model`` and ``sae`` (an
        :class:`ItemsConfig`) no model reads the items: the run has only their scores.
    out
        The run folder; None: the configuration's ``out``, or else a new temporary folder, which a warning names. An
        interrupted run in the folder is resumed.
    model
        A loaded model (:func:`load_model`), to reuse in several runs; None loads the configuration's. The configuration
        must name the same model, because the run records that name.
    store
        Address at which machines without a common file system share the shards of this run: ``s3://BUCKET/RUN``,
        ``gs://BUCKET/RUN``, ``file:///FOLDER`` or another of fsspec. Shards there are used, and new ones are added.
        Credentials and endpoint come from the environment. None: no store.
    progress
        Shows the progress; None: quiet.
    command
        Command to record in the manifest.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    UserError
        If the configuration, a benchmark, the model, the SAE or the store is wrong; the message says what to do.
    MachineError
        If disk, memory or workers run out, or the store does not answer; finished work remains.
    """
    from competency_gaps.pipeline import run as pipeline
    from competency_gaps.pipeline.engines import Engine, read_here
    from competency_gaps.pipeline.on_ray import ray_engine
    from competency_gaps.runs.store import RunStore
    from competency_gaps.sae.load import load_pair

    config = read_config(config)
    ray = config.ray if isinstance(config, RunConfig) else None
    if ray is not None and model is not None:
        raise UserError("workers load the model themselves: give either 'ray' or a loaded model, not both.")
    folder = Path(out) if out is not None else config.out
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="competency-gaps-"))
        warnings.warn(f"no folder given, so the run is written to {folder}", stacklevel=2)
    progress = progress or Progress(quiet=True)
    shared = RunStore(store) if store is not None else None
    pair = None
    if model is not None and isinstance(config, RunConfig):
        pair = load_pair(config.model, config.sae, lm=model, progress=progress)
    # Before the model is loaded: there may be no cluster, or no room in it.
    engines: AbstractContextManager[Engine] = nullcontext(read_here) if ray is None else ray_engine(ray)
    with engines as engine:
        finished = open_run(pipeline.run(config, folder, progress, command, pair, engine, shared).path)
    finished.report(progress=progress)
    return finished


def demo_config() -> RunConfig:
    """Return the demo's configuration: the bundled model, its SAE and the bundled benchmarks."""
    return parse_config(RunConfig, read_yaml(DEMO_CONFIG), "the demo's configuration")


def run_demo(out: Path | str = "demo-run", *, progress: Progress | None = None, command: str = "") -> Run:
    """Run the demo, or resume it, and return the run; the arguments are those of :func:`run`."""
    config = demo_config()
    if progress is not None:
        progress.say(announcement(config, out))
    return run(config, out, progress=progress, command=command)


def announcement(config: RunConfig, out: Path | str) -> str:
    """Return a sentence or two on what the demo is going to do."""
    weights = MODELS.get(config.model.name)
    download = ""
    if weights is not None and local_weights(weights) is None:
        download = f"It first downloads {weights.megabytes} MB, once. "
    return (
        f"The demo runs SmolLM2-135M-Instruct on {len(config.benchmarks)} benchmarks, reads its concepts through a "
        f"sparse autoencoder, and writes a report to {out}. {download}If interrupted, repeat the command to resume."
    )


def read_logs(
    path: Path | str,
    *,
    metric: str | None = None,
    scorer: str | None = None,
    fields: Sequence[str] = (),
    texts: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Return logs of evaluations as a run, without a model that reads the items; needs no torch, and takes seconds.

    Its slices are those of columns and features and, once they are made, clusters of similar texts. The run is stored
    in the cache folder by the logs' content, so the same logs are read only once.

    Parameters
    ----------
    path
        A log or table, or a folder of logs of one or several models, as lm-evaluation-harness, Inspect and others
        write them. A table has a column of prompts, and one of scores or one per model; in a folder, prompts and scores
        may be in different tables, which share ids.
    metric, scorer
        Which of a log's scores to use; None: each format's default.
    fields
        ``OURS=COLUMN`` for tables, such as ``prompt=question``.
    texts
        Whether to make clusters of similar texts, if there are at least 120 items: about a minute for 6,000 texts of a
        paragraph.
    progress
        Shows the progress; None: quiet.

    Returns
    -------
    Run
        For everything that needs only items and scores: :meth:`Run.answer`, :meth:`Run.keep`, ... For concepts and
        coverage make a run with a model and its SAE (:func:`run`).

    Raises
    ------
    UserError
        If there is no log at the path, or nothing in it has a score; with ``texts``, if the extra ``texts`` is not
        installed, or its model is not here and cannot be fetched.
    MachineError
        If the cache folder cannot be written.
    """
    from competency_gaps.pipeline.without_reading import add_text_slices, cached_run

    options = {"metric": metric, "scorer": scorer, "fields": list(fields)}
    progress = progress or Progress(quiet=True)
    finished = cached_run(Path(path).expanduser(), options, progress)
    if texts:
        finished = add_text_slices(finished, progress) or finished
    return Run(finished.path, finished.manifest)


def load_model(name: str, *, progress: Progress | None = None, **options: Any) -> LanguageModel:
    """Return a loaded language model, for use in several runs.

    Parameters
    ----------
    name
        ``embedded``, a folder, or a name on the hub.
    progress
        Shows a download; None: quiet.
    options
        Other keys of :class:`~competency_gaps.items.config.ModelConfig`: ``dtype``, ``device``, ``revision``, ...

    Raises
    ------
    UserError
        If an option is unknown or there is no such model.
    MissingExtraError
        If torch or transformers is not installed.
    """
    from competency_gaps.model import load

    return load.load_model(parse_config(ModelConfig, {"name": name, **options}, "model"), progress=progress)


def read_config(config: ItemsConfig | Mapping[str, Any] | Path | str) -> ItemsConfig:
    """Return a checked configuration: a :class:`RunConfig` if it names a model or an SAE, else an :class:`ItemsConfig`.

    Parameters
    ----------
    config
        An :class:`ItemsConfig`, a mapping of the same keys, or a YAML file.

    Raises
    ------
    UserError
        If a key or a value is wrong.
    """
    if isinstance(config, ItemsConfig):
        return config
    if isinstance(config, (str, Path)):
        where, data = str(config), read_yaml(Path(config))
    else:
        where, data = "configuration", dict(config)
    return parse_config(RunConfig if {"model", "sae"} & data.keys() else ItemsConfig, data, where)


def compare(
    candidate: RunFolder | Path | str, baseline: RunFolder | Path | str, *, min_effect: float = 0.0
) -> Comparison:
    """Compare two runs, or other tools' logs of two models, on the items they share; needs no torch.

    Parameters
    ----------
    candidate, baseline
        Finished runs, outcomes of runs (:meth:`Run.as_model`), or paths: a run's folder, or the log of one model in any
        readable format. Items are paired by benchmark and id if they ask the same. Slices are the baseline's; for two
        logs, they come from the items' columns and texts.
    min_effect
        A difference counts only if its whole interval lies beyond this, in [0, 1).

    Returns
    -------
    Comparison
        ``answer`` (the list of slices for the difference), and as polars frames ``overall`` (measured differences with
        intervals, p-values by sign flips of whole clusters, counts of better and worse, and the smallest detectable
        difference), ``slices`` (for each category of a column, the change expected on new items, its interval and
        verdict) and ``items``; ``verdict`` and its ``reasons``.

    Raises
    ------
    UserError
        If a path is neither a finished run nor a log of one model, or no item is scored in both.
    """
    from competency_gaps.findings.compare import compare_runs

    def source(run: RunFolder | Path | str) -> RunFolder | Path:
        if isinstance(run, RunFolder):
            return run
        return open_run(run) if (Path(run) / "manifest.json").is_file() else Path(run)

    return compare_runs(source(candidate), source(baseline), min_effect=min_effect)


def export(
    runs: Sequence[Path | str],
    out: Path | str,
    *,
    one_file: bool = False,
    texts: bool = True,
    progress: Progress | None = None,
) -> Exported:
    """Write runs as a page that a browser opens without a server: a folder, or one HTML file.

    Parameters
    ----------
    runs
        Run folders, or logs as :func:`read_logs` reads them.
    out
        The folder, in which an older export is replaced, or the file.
    one_file
        Whether to write one file, with the answer, tables, and the most important concepts with examples.
    texts
        Whether to include prompts, responses and expected answers.
    progress
        None: quiet.

    Returns
    -------
    Exported
        The path, its size, and the keys of the runs.

    Raises
    ------
    UserError
        If the folder holds anything but an older export.
    """
    from competency_gaps.view.page.export import export as write_folder
    from competency_gaps.view.page.export import export_file
    from competency_gaps.view.page.opened import open_runs

    opened = open_runs([Path(path) for path in runs])
    return (export_file if one_file else write_folder)(opened, Path(out), texts=texts, progress=progress)
