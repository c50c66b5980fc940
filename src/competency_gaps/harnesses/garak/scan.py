"""Run garak's attacks against a loaded model, into a report of garak's own form."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from competency_gaps.checked import damaged, read_document, write_document
from competency_gaps.config import GenerationConfig
from competency_gaps.errors import UserError, argument
from competency_gaps.files import write_atomic, write_json
from competency_gaps.harnesses.garak.child import AnswerFunction, Garak, Messages, fault
from competency_gaps.harnesses.garak.target import Target
from competency_gaps.harnesses.shared.files import json_file, log_lines, mapping
from competency_gaps.model.batches import WRITTEN_AT_ONCE
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.text import plural

REPORT, SETTINGS, OUTCOME, ANSWERS = "garak.report.jsonl", "settings.json", "outcome.json", "answers.jsonl"
REHEARSAL, ATTACK = "rehearsal", "attack"
"""Each probe is run twice: without answers, to learn what it asks and whether it can run, and with them. The second
report becomes a part of ``REPORT``; nothing else of either is kept."""


@dataclass(frozen=True)
class GarakSettings:
    """How garak is run."""

    spec: str
    """Which probes, in garak's syntax."""
    generations: int = 1
    """Answers to each attack."""
    temperature: float | None = None
    """None: 0 (greedy) for one answer to each attack, else 1."""
    max_new_tokens: int = 150
    eval_threshold: float = 0.5
    """Lowest detector result that counts as a hit."""
    extended: bool = True
    """Whether a probe's extended detectors are run too, as garak does."""
    seed: int = 0
    online: bool = False
    """Whether probes and detectors may fetch models and data."""

    @property
    def sampling_temperature(self) -> float:
        """The temperature in effect."""
        return self.temperature if self.temperature is not None else 0.0 if self.generations == 1 else 1.0


@dataclass(frozen=True)
class GarakOutcome:
    """What garak did."""

    report: Path
    probes: tuple[str, ...]
    """Probes that ran, as ``family.Class``."""
    left_out: dict[str, str]
    """Probes that did not run, or failed, and why."""
    missing: dict[str, dict[str, str]]
    """Per probe, extended detectors that could not be loaded, and why."""
    unanswered: dict[str, int]
    """Why the model gave no answer -> attacks."""
    garak: str
    """Its version."""


def run_garak(
    lm: LanguageModel, settings: GarakSettings, folder: Path, progress: Progress, *, token_budget: int = WRITTEN_AT_ONCE
) -> GarakOutcome:
    """Run garak, or return the finished report of the same run.

    An interrupted run starts again, as garak cannot continue a report; the model's answers are kept, so that only
    unanswered conversations are asked.

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
    with contextlib.closing(Garak(folder, online=settings.online)) as garak:
        wanted = {**asdict(settings), "garak": garak.version, "model": lm.identity["content_sha256"]}
        known = _known(folder, {**wanted, "dtype": lm.identity["dtype"]})
        if known is not None:
            progress.say(f"garak's report is already finished: {known.report}")
            return known
        if (folder / ANSWERS).is_file():
            progress.say("garak was interrupted: its report starts again, the answers so far are kept")
        return _Scan(garak, lm, settings, progress, token_budget).run()


def _known(folder: Path, wanted: dict[str, Any]) -> GarakOutcome | None:
    """The finished outcome of the same run; None if it is not finished or not begun."""
    file = folder / SETTINGS
    if file.is_file():
        try:
            known = read_document(file)
        except (OSError, ValueError) as error:
            raise damaged(file, error, "Delete the folder to probe anew.") from error
        differing = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
        if differing:
            raise UserError(
                f"{folder} holds a garak run that differs in {', '.join(differing)}. Take another folder or delete the "
                "folder to probe anew."
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_document(file, wanted)
    if not (folder / OUTCOME).is_file():
        return None
    outcome = json_file(folder / OUTCOME)
    return GarakOutcome(**{**outcome, "report": folder / REPORT, "probes": tuple(outcome["probes"])})


@dataclass(frozen=True)
class _Scan:
    garak: Garak
    lm: LanguageModel
    settings: GarakSettings
    progress: Progress
    token_budget: int

    def run(self) -> GarakOutcome:
        folder, progress = self.garak.folder, self.progress
        names, intents = self.garak.probes(self.settings.spec)
        left_out: dict[str, str] = {}
        missing: dict[str, dict[str, str]] = {}
        conversations: list[Messages] = []
        with progress.stage("loading probes", total=len(names), unit="probes") as bar:
            for name in names:
                bar.note(name)
                why, lacking = self._rehearse(name, intents, conversations)
                if why is not None:
                    left_out[name] = why
                elif lacking:
                    missing[name] = lacking
                bar.advance()
        for name, why in left_out.items():
            progress.say(f"left out {name}: {why}")
        for name, detector, why in ((name, *item) for name, lacking in missing.items() for item in lacking.items()):
            progress.say(f"{name}: without the detector {detector} ({why})")
        usable = [name for name in names if name not in left_out]
        if not usable:
            hint = "" if self.settings.online else f" With {argument('online')} they may fetch what they need."
            raise UserError(
                f"spec {self.settings.spec!r}: no probe can be run, the first ({names[0]}) because "
                f"{left_out[names[0]]}.{hint}"
            )
        with progress.stage("attacking the model", total=len(conversations), unit="answers") as bar:
            generation = GenerationConfig(temperature=self.settings.sampling_temperature, seed=self.settings.seed)
            tokens = self.settings.max_new_tokens
            target = Target(self.lm, folder / ANSWERS, tokens, generation, self.token_budget, bar.advance)
            target.prime(conversations)
            failed = self._attack(usable, intents, target)
        for name, why in failed.items():
            left_out[name] = f"it failed while it ran: {why}"
            progress.say(f"left out {name}: {left_out[name]}")
        for why, count in target.unanswered.items():
            progress.say(f"{plural(count, 'attack')} without an answer: {why}")
        ran = tuple(name for name in usable if name not in left_out)
        reports = [_report(self._place(name, ATTACK)).read_bytes() for name in ran]
        write_atomic(folder / REPORT, lambda part: _write(part, reports))
        unanswered = dict(target.unanswered)
        outcome = GarakOutcome(folder / REPORT, ran, left_out, missing, unanswered, self.garak.version)
        write_json(folder / OUTCOME, {**asdict(outcome), "report": REPORT})
        self.garak.delete_files()
        return outcome

    def _rehearse(
        self, name: str, intents: list[str], conversations: list[Messages]
    ) -> tuple[str | None, dict[str, str]]:
        """Record what a probe asks; returns why it cannot run, or the detectors that cannot be loaded, and why."""
        place = self._place(name, REHEARSAL)
        probe, detectors = None, set[str]()
        asked: list[Messages] = []
        for entry in self._garak(name, intents, place, asked.append):
            plugins = mapping(entry.get("plugin_cache"))
            probe = mapping(plugins.get("probes")).get(f"probes.{name}", probe)
            detectors |= mapping(plugins.get("detectors")).keys()
        if probe is None:
            why = fault(place, f"garak.probes.{name}") or fault(place, r"garak\.detectors\.\S+") or fault(place)
            return f"it cannot be loaded ({why})", {}
        others = {part for part in (probe.get("modality") or {}).get("in", ()) if part != "text"}
        if others:
            return f"it needs {', '.join(sorted(others))}", {}
        first = probe["primary_detector"]
        wanted = [first, *(probe["extended_detectors"] if self.settings.extended else ())]
        absent = [detector for detector in wanted if f"detectors.{detector}" not in detectors]
        lacking = {detector: fault(place, f"garak.detectors.{detector}") or fault(place) for detector in absent}
        if first in lacking:
            return f"its detector {first} cannot be loaded ({lacking[first]})", {}
        conversations += asked
        return None, lacking

    def _attack(self, names: list[str], intents: list[str], target: Target) -> dict[str, str]:
        """Run probes with the model's answers; returns those that failed, and why."""
        failed = {}
        for name in names:
            place = self._place(name, ATTACK)
            entries = self._garak(name, intents, place, target.answer)
            if not any(entry.get("entry_type") == "completion" for entry in entries):
                failed[name] = fault(place)
        return failed

    def _place(self, name: str, kind: str) -> Path:
        return self.garak.work / "probes" / name / kind

    def _garak(self, name: str, intents: list[str], place: Path, answer: AnswerFunction) -> list[dict[str, Any]]:
        """Run garak with one probe, so that its seed and its faults are its own; returns the report's entries."""
        place.parent.mkdir(parents=True, exist_ok=True)
        report, config = _report(place), place.with_suffix(".json")
        report.unlink(missing_ok=True)
        write_json(config, self._config(place))
        self.garak.run(["--config", str(config), "--spec", ",".join([f"probes.{name}", *intents])], place, answer)
        return [line.value for line in log_lines(report) if line.fault is None] if report.is_file() else []

    def _config(self, place: Path) -> dict[str, Any]:
        """garak's own configuration."""
        generator = {
            "uri": f"{self.garak.url}/v1",
            "stop": None,
            "max_tokens": self.settings.max_new_tokens,
            "temperature": self.settings.sampling_temperature,
            "extra_params": {"timeout": 1e6},
        }
        plugins = {
            "target_type": "openai.OpenAICompatible",
            "target_name": self.lm.name,
            "extended_detectors": self.settings.extended,
            "generators": {"openai": {"OpenAICompatible": generator}},
        }
        return {
            "system": {"lite": False},
            "run": {key: getattr(self.settings, key) for key in ("generations", "eval_threshold", "seed")},
            "plugins": plugins,
            "reporting": {"report_prefix": str(place), "confidence_interval_method": "none"},
        }


def _report(place: Path) -> Path:
    return place.with_suffix(".report.jsonl")


def _write(path: Path, parts: list[bytes]) -> None:
    path.write_bytes(b"".join(part.rstrip() + b"\n" for part in parts))  # garak does not end the last line
