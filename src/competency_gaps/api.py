"""The public functions of the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from competency_gaps.config import RunConfig, parse_config, read_yaml
from competency_gaps.runs.open import Run


def run(
    config: RunConfig | Mapping[str, Any] | Path | str, out: Path | str | None = None, *, quiet: bool = True
) -> Run:
    """Make a run: score the benchmarks, read the concepts, compute the metrics.

    Parameters
    ----------
    config
        A :class:`~competency_gaps.config.RunConfig`, a mapping of the same keys, or a YAML file.
    out
        The run folder; null takes the configuration's ``out``. A folder that holds the same run, stopped, is resumed.
    quiet
        Show no progress.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    UserError
        If the configuration, a benchmark, the model or the SAE is wrong; the message says what to do.
    """
    from competency_gaps.progress import Progress
    from competency_gaps.stages import pipeline

    if isinstance(config, (str, Path)):
        config = parse_config(RunConfig, read_yaml(Path(config)), str(config))
    elif not isinstance(config, RunConfig):
        config = parse_config(RunConfig, dict(config), "configuration")
    return pipeline.run(config, Path(out) if out is not None else None, Progress(quiet=quiet))
