"""Run garak's attacks against a loaded model, into a report of garak's own form."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.config import GenerationConfig
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic, write_json
from competency_gaps.harnesses.garak.child import Answer, Garak, Messages, fault
from competency_gaps.harnesses.garak.target import Target
from competency_gaps.harnesses.shared.lines import json_file, json_lines
from competency_gaps.harnesses.shared.shapes import mapping
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Bar, Progress
from competency_gaps.text import plural

REPORT, SETTINGS, OUTCOME, ANSWERS = "garak.report.jsonl", "settings.json", "outcome.json", "answers.jsonl"
REHEARSAL, ATTACK = "rehearsal", "attack"
"""garak is run twice: without answers, to learn what it asks and which probes can run, and with them."""


@dataclass(frozen=True)
class GarakSettings:
    """How garak is run."""

    spec: str
    """Which probes, in garak's own words."""
    generations: int = 1
    """Answers to each attack."""
    temperature: float | None = None
    """None: 0 (greedy) for one answer to each attack, else 1."""
    max_new_tokens: int = 150
    eval_threshold: float = 0.5
    """Detector's result from which an answer is a hit."""
    extended: bool = True
    """Whether detectors beside a probe's first are run, as garak does."""
    seed: int = 0
    online: bool = False
    """Whether probes and detectors may fetch models and data."""

    @property
    def sampling_temperature(self) -> float:
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
    with contextlib.closing(Garak(folder, online=settings.online)) as garak:
        known = _known(folder, {**asdict(settings), "garak": garak.version, **_identity(lm)})
        if known is not None:
            progress.say(f"garak's report is finished already: {known.report}")
            return known
        if (folder / ANSWERS).is_file():
            progress.say("garak was interrupted: its report is begun anew, answers that were made are kept")
        return _Scan(garak, lm, settings, progress, token_budget).run()


def _identity(lm: LanguageModel) -> dict[str, Any]:
    return {"model": lm.identity["weights_sha256"], "dtype": lm.identity["dtype"]}


def _known(folder: Path, wanted: dict[str, Any]) -> GarakOutcome | None:
    """The finished outcome of the same run; None if it is not finished or not begun."""
    file = folder / SETTINGS
    if file.is_file():
        known = json_file(file)
        differing = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
        if differing:
            raise UserError(
                f"{folder} holds a garak run that differs in {', '.join(differing)}. Give another --out, or delete the "
                "folder to probe anew."
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, wanted)
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
        conversations: list[Messages] = []
        with progress.stage("loading probes", unit="attacks") as bar:

            def hear(messages: Messages) -> None:
                conversations.append(messages)
                bar.advance()

            rehearsal = self._pass(REHEARSAL, names, intents, hear)
        left_out, missing = self._unusable(rehearsal, names)
        usable = [name for name in names if name not in left_out]
        if not usable:
            hint = "" if self.settings.online else " With --online they may fetch what they need."
            raise UserError(
                f"--spec {self.settings.spec!r}: no probe can be run, the first ({names[0]}) because "
                f"{left_out[names[0]]}.{hint}"
            )
        with progress.stage("attacking the model", total=len(conversations), unit="answers") as bar:
            target = self._target(bar)
            target.prime(conversations)
            attack = self._pass(ATTACK, usable, intents, target.answer)
        for name, why in attack.failed.items():
            left_out[name] = f"it failed while it ran: {why}"
            progress.say(f"left out {name}: {left_out[name]}")
        for why, count in target.unanswered.items():
            progress.say(f"{plural(count, 'attack')} without an answer: {why}")
        reports = [report.read_bytes() for report in attack.reports]
        write_atomic(folder / REPORT, lambda part: _write(part, reports))
        ran = tuple(name for name in usable if name not in left_out)
        unanswered = dict(target.unanswered)
        outcome = GarakOutcome(folder / REPORT, ran, left_out, missing, unanswered, self.garak.version)
        write_json(folder / OUTCOME, {**asdict(outcome), "report": REPORT})
        return outcome

    def _target(self, bar: Bar) -> Target:
        generation = GenerationConfig(temperature=self.settings.sampling_temperature, seed=self.settings.seed)
        file = self.garak.folder / ANSWERS
        return Target(self.lm, file, self.settings.max_new_tokens, generation, self.token_budget, bar.advance)

    def _pass(self, kind: str, names: list[str], intents: list[str], answer: Answer) -> _Pass:
        """Run garak with probes; where it breaks off, without the one that it was at, and those before it."""
        done = _Pass()
        while names:
            place = self.garak.folder / f"{kind}-{len(done.places)}"
            report = place.with_suffix(".report.jsonl")
            report.unlink(missing_ok=True)
            place.with_suffix(".json").write_text(json.dumps(self._config(place)), encoding="utf-8")
            spec = ",".join([*(f"probes.{name}" for name in names), *intents])
            status = self.garak.run(["--config", str(place.with_suffix(".json")), "--spec", spec], place, answer)
            done.places.append(place)
            entries = [line.value for line in json_lines(report) if line.fault is None] if report.is_file() else []
            begun = done.take(entries)
            if any(entry.get("entry_type") == "completion" for entry in entries):
                break
            finished = {entry.get("probe") for entry in entries if entry.get("entry_type") == "probe_summary"}
            after = max((index + 1 for index, name in enumerate(names) if name in finished), default=0)
            if after == len(names):
                break
            name = _broken(names[after:], begun, place)
            why = "" if name in begun else fault(place, status, r"garak\.detectors\.\S+")
            done.failed[name] = why or fault(place, status)
            at = names.index(name)
            names = names[at + 1 :]
        return done

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

    def _unusable(self, rehearsal: _Pass, names: list[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Probes that cannot run, and why; and of the others, detectors that could not be loaded, and why."""
        left_out: dict[str, str] = {}
        missing: dict[str, dict[str, str]] = {}
        for name in names:
            probe = rehearsal.probes.get(name)
            if probe is None:
                why = rehearsal.failed.get(name) or rehearsal.why(f"garak.probes.{name}")
                left_out[name] = f"it cannot be loaded ({why})"
            elif others := {part for part in (probe.get("modality") or {}).get("in", ()) if part != "text"}:
                left_out[name] = f"it needs {', '.join(sorted(others))}"
            else:
                first = probe["primary_detector"]
                wanted = [first, *(probe["extended_detectors"] if self.settings.extended else ())]
                absent = [detector for detector in wanted if detector not in rehearsal.detectors]
                lacking = {detector: rehearsal.why(f"garak.detectors.{detector}") for detector in absent}
                if first in lacking:
                    left_out[name] = f"its detector {first} cannot be loaded ({lacking[first]})"
                elif lacking:
                    missing[name] = lacking
        for name, why in left_out.items():
            self.progress.say(f"left out {name}: {why}")
        for name, lacking in missing.items():
            for detector, why in lacking.items():
                self.progress.say(f"{name}: without the detector {detector} ({why})")
        return left_out, missing


def _broken(names: list[str], begun: set[str], place: Path) -> str:
    """The probe at which garak broke off: the last that it began, else the first that it could load."""
    last = [name for name in names if name in begun][-1:]
    loaded = (name for name in names if not fault(place, 0, f"garak.probes.{name}"))
    return last[0] if last else next(loaded, names[0])


@dataclass
class _Pass:
    """garak's runs with a list of probes: more than one if it broke off."""

    places: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Probes at which garak broke off, and why."""
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Probes that were loaded, with what garak knows of them."""
    detectors: set[str] = field(default_factory=set)
    """Detectors that were loaded."""

    @property
    def reports(self) -> list[Path]:
        files = [place.with_suffix(".report.jsonl") for place in self.places]
        return [file for file in files if file.is_file()]

    def take(self, entries: list[dict[str, Any]]) -> set[str]:
        """Note what a run loaded; gives its probes."""
        begun: set[str] = set()
        for entry in entries:
            plugins = mapping(entry.get("plugin_cache"))
            probes = {
                name.removeprefix("probes."): mapping(facts) for name, facts in mapping(plugins.get("probes")).items()
            }
            self.probes |= probes
            begun |= probes.keys()
            self.detectors |= {name.removeprefix("detectors.") for name in mapping(plugins.get("detectors"))}
        return begun

    def why(self, plugin: str) -> str:
        """Why a plug-in could not be loaded."""
        reasons = (fault(place, 0, plugin) for place in self.places)
        return next((reason for reason in reasons if reason), f"see {self.places[0].with_suffix('.log').name}")


def _write(path: Path, parts: list[bytes]) -> None:
    path.write_bytes(b"".join(part.rstrip() + b"\n" for part in parts))  # garak leaves its last line open
