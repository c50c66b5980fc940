"""Run garak's attacks against a loaded model, into a report of garak's own form."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from competency_gaps.config import GenerationConfig
from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.harnesses.garak.setup import (
    PLUGIN_FAULTS,
    Usable,
    at_home,
    chosen_probes,
    configure,
    in_batches,
    load_probe,
    make_generator,
)
from competency_gaps.harnesses.garak.target import Target
from competency_gaps.harnesses.shared.lines import json_lines
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Bar, Progress
from competency_gaps.text import plural, shorten, visible

REPORT, SETTINGS, OUTCOME, ANSWERS = "garak.report.jsonl", "settings.json", "outcome.json", "answers.jsonl"


@dataclass(frozen=True)
class GarakSettings:
    """How garak is run."""

    spec: str
    """Which probes, in garak's own words."""
    generations: int = 1
    """Answers to each attack."""
    temperature: float | None = None
    """Null: 0 (greedy) for one answer to each attack, else 1."""
    max_new_tokens: int = 150
    eval_threshold: float = 0.5
    """Detector's result from which an answer is a hit."""
    extended: bool = True
    """Whether detectors beside a probe's first are run, as garak does."""
    seed: int = 0
    online: bool = False
    """Whether probes and detectors may fetch models and data."""

    @property
    def heat(self) -> float:
        """The temperature that is used."""
        return self.temperature if self.temperature is not None else 0.0 if self.generations == 1 else 1.0


@dataclass(frozen=True)
class GarakOutcome:
    """What garak did."""

    report: Path
    probes: tuple[str, ...]
    """That ran, as ``family.Class``."""
    left_out: dict[str, str]
    """Probes that did not run, or failed, and why."""
    missing: dict[str, dict[str, str]]
    """Per probe, detectors beside its first that could not be loaded, and why."""
    unanswered: dict[str, int]
    """Why the model gave no answer -> attacks."""
    garak: str
    """Its version."""


def run_garak(
    lm: LanguageModel, settings: GarakSettings, folder: Path, progress: Progress, *, token_budget: int = 4096
) -> GarakOutcome:
    """Run garak, or take the finished report of the same run.

    An interrupted run is begun anew, as garak cannot go on with a report; the model's answers are kept beside it, so
    that only what was not answered yet is asked.

    Parameters
    ----------
    folder
        For the report and everything else that garak writes.

    Raises
    ------
    MissingExtraError
        If garak is not installed.
    UserError
        If the spec is wrong, no probe can be run, the folder holds another garak run, or the model has no chat
        template.
    """
    if lm.tokenizer.chat_template is None:
        raise UserError(
            f"model {lm.name!r} has no chat template, but garak's attacks are chat messages. Give a chat model, or a "
            "tokenizer with a template."
        )
    known = _known(folder, settings, lm)
    if known is not None:
        progress.say(f"garak's report is finished already: {known.report}")
        return known
    if (folder / REPORT).exists():
        progress.say("garak was interrupted: its report is begun anew, answers that were made are kept")
    with at_home(folder, online=settings.online) as config, _printing(folder, progress):
        return _run(config, lm, settings, folder, progress, token_budget)


def _known(folder: Path, settings: GarakSettings, lm: LanguageModel) -> GarakOutcome | None:
    """The finished outcome of the same run; null if it is not finished or not begun."""
    wanted = {**asdict(settings), "model": lm.identity["weights_sha256"], "dtype": lm.identity["dtype"]}
    file = folder / SETTINGS
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
        if differing:
            raise UserError(
                f"{folder} holds a garak run that differs in {', '.join(differing)}. Give another --out, or delete the "
                "folder to probe anew."
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, wanted)
    outcome = folder / OUTCOME
    if not outcome.is_file():
        return None
    told = json.loads(outcome.read_text(encoding="utf-8"))
    return GarakOutcome(**{**told, "report": folder / REPORT, "probes": tuple(told["probes"])})


@contextlib.contextmanager
def _printing(folder: Path, progress: Progress) -> Iterator[None]:
    """garak prints its results: to standard error, or with quiet into a file beside its report."""
    if not progress.quiet:
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    with (
        (folder / "printed.txt").open("w", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


def _run(
    config: Any, lm: LanguageModel, settings: GarakSettings, folder: Path, progress: Progress, token_budget: int
) -> GarakOutcome:
    import garak
    from garak import command

    configure(
        config,
        name=lm.name,
        generations=settings.generations,
        threshold=settings.eval_threshold,
        seed=settings.seed,
        extended=settings.extended,
        report=folder / REPORT,
    )
    names = chosen_probes(config, settings.spec)
    usable, left_out = _load(names, settings, progress)
    generation = GenerationConfig(temperature=settings.heat, seed=settings.seed)
    target = Target(lm, folder / ANSWERS, settings.max_new_tokens, generation, token_budget)
    # What the model is asked by most probes; those that go on over several turns ask for more.
    total = sum(len(getattr(one.probe, "prompts", ())) for one in usable) * settings.generations
    command.start_run()
    try:
        with progress.stage("attacking the model", total=total, unit="answers") as bar:
            target.advance = bar.advance
            left_out |= _attack(usable, target, settings, lm.name, bar)
        command.end_run()
    finally:
        config.transient.reportfile.close()
    ran = tuple(one.name for one in usable if one.name not in left_out)
    missing = {one.name: one.missing for one in usable if one.missing}
    for reason, count in target.refused.items():
        progress.say(f"{plural(count, 'attack')} without an answer: {reason}")
    outcome = GarakOutcome(folder / REPORT, ran, left_out, missing, dict(target.refused), str(garak.__version__))
    if not any(line.value.get("entry_type") == "completion" for line in json_lines(outcome.report) if not line.fault):
        raise UserError(f"garak wrote no end into {outcome.report}: see garak.log beside it, and run this again.")
    write_json(folder / OUTCOME, {**asdict(outcome), "report": REPORT})
    return outcome


def _load(names: list[str], settings: GarakSettings, progress: Progress) -> tuple[list[Usable], dict[str, str]]:
    usable, left_out = [], {}
    with progress.stage("loading probes", total=len(names), unit="probes") as bar:
        loaded = {}
        for name in names:
            bar.note(name)
            random.seed(settings.seed)  # some probes draw their attacks
            loaded[name] = load_probe(name, extended=settings.extended)
            bar.advance()
    for name, found in loaded.items():
        if isinstance(found, Usable):
            usable.append(found)
            for detector, why in found.missing.items():
                progress.say(f"{found.name}: without the detector {detector} ({why})")
        else:
            left_out[name.removeprefix("probes.")] = found
            progress.say(f"left out {name.removeprefix('probes.')}: {found}")
    if not usable:
        hint = "" if settings.online else " With --online they may fetch what they need."
        first = next(iter(left_out.items()))
        raise UserError(
            f"--spec {settings.spec!r}: no probe can be run, the first ({first[0]}) because {first[1]}.{hint}"
        )
    return usable, left_out


def _attack(usable: list[Usable], target: Target, settings: GarakSettings, name: str, bar: Bar) -> dict[str, str]:
    """Probe after probe; gives those that failed while they ran, and why."""
    from garak.evaluators import ThresholdEvaluator
    from garak.exception import GarakException
    from garak.harnesses.base import Harness

    harness, generator = Harness(), make_generator(target, name)
    evaluator = ThresholdEvaluator(settings.eval_threshold)
    failed = {}
    for one in usable:
        bar.note(one.name)
        in_batches(one.probe, target, settings.generations)
        random.seed(settings.seed)
        try:
            harness.run(generator, [one.probe], list(one.detectors), evaluator, announce_probe=False)
        except (GarakException, *PLUGIN_FAULTS) as error:
            failed[one.name] = f"it failed while it ran: {shorten(visible(f'{type(error).__name__}: {error}'), 200)}"
    return failed
