"""Actions on a finished run: tests, probes, findings, labels, report and export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from competency_gaps.errors import UserError, argument
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder, open_folder

if TYPE_CHECKING:
    from competency_gaps.config import LLMConfig
    from competency_gaps.explorer.export import Exported
    from competency_gaps.probes.concept import Probed


class Actions(RunFolder):
    """Methods of :class:`~competency_gaps.Run` that compute or write something; the commands call them."""

    def robustness(
        self, *, against: RunFolder | Path | str | None = None, seed: int = 0, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Test the run as a whole: subsampling, ablation, held-out items. Outcome and report go into its folder.

        Parameters
        ----------
        against
            Another run of the same items: another SAE or layer, or the same again. It is read as this run is: if this
            is an outcome of a model, as the same outcome of the same model, which needs that model's scores there.
        seed
            Seed of the draws and splits.

        Returns
        -------
        dict
            ``verdicts`` and the figures behind them, as ``robustness.json`` holds them.
        """
        from competency_gaps.robustness import assess
        from competency_gaps.stages.outcomes import outcome_run

        progress = progress or Progress(quiet=True)
        other = against if isinstance(against, RunFolder) or against is None else open_folder(Path(against))
        outcome = self.manifest.get("outcome")
        if other is not None and outcome is not None and "outcome" not in other.manifest:
            names = tuple(outcome["against"])
            other = outcome_run(other, outcome["model"], outcome["kind"], against=names, progress=progress)
        figures = assess(self, progress, against=other, seed=seed)
        self.report(progress=progress)
        return figures

    def probe(
        self,
        concepts: Sequence[int] = (),
        *,
        weak: int | None = None,
        llm: LLMConfig | None = None,
        items: int = 300,
        topics: int = 3,
        questions: int = 10,
        min_saliency: float = 0.2,
        q: float = 0.05,
        seed: int = 0,
        progress: Progress | None = None,
        command: str = "",
    ) -> Probed | None:
        """Test whether weaknesses hold on new items: of the run's generated benchmarks, or written by a model.

        Parameters
        ----------
        weak
            Number of the run's surest weak concepts to probe, instead of ``concepts``.
        llm
            A language model that writes the items; None: new seeds of the run's generated families.
        items
            New items of each generated benchmark in which one of the concepts is active.
        topics, questions
            Topics of each concept, and questions with (and as many without) the concept on each, that the model writes.
        min_saliency
            Saliency in (0, 1) from which an item counts as exciting a concept.
        q
            False-discovery rate over the probed concepts.
        seed
            Seed of new items of generated benchmarks.
        progress
            None: quiet.
        command
            What the manifest of the run over the new items records as the command that made it.

        Returns
        -------
        Probed or None
            ``results``, a verdict for each concept, also kept in the run's folder. None: the model's requests were only
            written into a file.

        Raises
        ------
        UserError
            If there is no such concept, or there are no new items for any of them.
        """
        from competency_gaps.probes.concept import Criterion, probe_generated, targets, weakest
        from competency_gaps.probes.written import probe_written

        if (not len(concepts)) == (weak is None):
            raise UserError(f"give concepts to probe, or {argument('weak')} for the surest weak ones.")
        progress = progress or Progress(quiet=True)
        criterion = Criterion(min_saliency, q, seed=seed)
        chosen = targets(self, weakest(self, weak) if weak is not None else list(concepts))
        if llm is None:
            return probe_generated(self, chosen, criterion, progress, items=items, seed=seed, command=command)
        return probe_written(self, chosen, llm, criterion, progress, topics=topics, count=questions, command=command)

    def make_findings(self, *, progress: Progress | None = None) -> None:
        """Compute the run's findings again from its tables; open the run again to read them."""
        from competency_gaps.findings import write_findings

        with (progress or Progress(quiet=True)).stage("findings"):
            write_findings(self)

    def name(self, dictionary: Path | str, *, progress: Progress | None = None) -> Self:
        """Put a dictionary's labels and themes on the run, and write its report again.

        Returns
        -------
        Run
            The run as it is now on disk; this object keeps the tables that it has read.
        """
        from competency_gaps.stages.naming import name_finished_run

        progress = progress or Progress(quiet=True)
        with progress.stage("naming concepts"):
            manifest = name_finished_run(self.path, Path(dictionary)).manifest
        named = type(self)(self.path, manifest)
        named.report(progress=progress)
        return named

    @property
    def report_file(self) -> Path:
        """Where the run's report is, ``report.html`` in its folder."""
        return self.path / "report.html"

    def report(self, *, progress: Progress | None = None) -> None:
        """Write ``report.html`` in the run's folder again."""
        from competency_gaps.explorer.export import write_report

        write_report(self, self.report_file, progress=progress)

    def export(
        self, out: Path | str, *, one_file: bool = False, texts: bool = True, progress: Progress | None = None
    ) -> Exported:
        """Write the explorer as a folder or file that opens without a server, as ``cg.export`` does of several runs."""
        from competency_gaps.api.make import export

        return export([self.path], out, one_file=one_file, texts=texts, progress=progress)
