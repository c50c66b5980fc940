"""Run garak's attacks against a loaded model, into a report of garak's own form."""

from __future__ import annotations

import contextlib
from collections import Counter
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
"""Of each probe garak is run twice: without answers, to learn what it asks and whether it can run, and with them."""


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


@dataclass(frozen=True)
class ProbeResult:
    """What became of one probe."""

    left_out: str | None = None
    """Why it did not run or failed; None: it ran."""
    missing: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)


def run_garak(
    lm: LanguageModel, settings: GarakSettings, folder: Path, progress: Progress, *, token_budget: int = 4096
) -> GarakOutcome:
    """Run garak, or take the finished report of the same run.

    An interrupted run goes on with the probe that it was at; garak begins that probe anew, but the model is asked only
    for the answers that are not on disk yet.

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
        folder = self.garak.folder
        names, intents = self.garak.probes(self.settings.spec)
        results: dict[str, ProbeResult] = {}
        with self.progress.stage("attacking the model", total=len(names), unit="probes") as bar:
            for name in names:
                bar.note(name)
                results[name] = self._probe(name, intents, bar)
                bar.advance()
        left_out = {name: result.left_out for name, result in results.items() if result.left_out is not None}
        ran = tuple(name for name in names if name not in left_out)
        if not ran:
            hint = "" if self.settings.online else " With --online they may fetch what they need."
            raise UserError(
                f"--spec {self.settings.spec!r}: no probe can be run, the first ({names[0]}) because "
                f"{left_out[names[0]]}.{hint}"
            )
        reports = [_report(_place(folder, name, ATTACK)).read_bytes() for name in ran]
        write_atomic(folder / REPORT, lambda part: _write(part, reports))
        unanswered: Counter[str] = Counter()
        for result in results.values():
            unanswered.update(result.unanswered)
        missing = {name: result.missing for name, result in results.items() if result.missing}
        outcome = GarakOutcome(folder / REPORT, ran, left_out, missing, dict(unanswered), self.garak.version)
        write_json(folder / OUTCOME, {**asdict(outcome), "report": REPORT})
        return outcome

    def _probe(self, name: str, intents: list[str], bar: Bar) -> ProbeResult:
        file = self.garak.folder / "probes" / name / "result.json"
        if file.is_file():
            return ProbeResult(**json_file(file))
        file.parent.mkdir(parents=True, exist_ok=True)
        result = self._attack(name, intents, bar)
        for detector, why in result.missing.items():
            self.progress.say(f"{name}: without the detector {detector} ({why})")
        for why, count in result.unanswered.items():
            self.progress.say(f"{name}: {plural(count, 'attack')} without an answer: {why}")
        if result.left_out is not None:
            self.progress.say(f"left out {name}: {result.left_out}")
        else:
            write_json(file, asdict(result))
        return result

    def _attack(self, name: str, intents: list[str], bar: Bar) -> ProbeResult:
        conversations: list[Messages] = []
        place = _place(self.garak.folder, name, REHEARSAL)
        status = self._run(name, intents, place, conversations.append)
        missing, why = _loaded(place, name, status, asked=bool(conversations), extended=self.settings.extended)
        if why is not None:
            return ProbeResult(why)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bar.note(f"{name}: {done:,} of {max(done, len(conversations)):,} answers")

        target = Target(
            self.lm,
            place.with_name(ANSWERS),
            self.settings.max_new_tokens,
            GenerationConfig(temperature=self.settings.sampling_temperature, seed=self.settings.seed),
            self.token_budget,
            advance,
        )
        target.prime(conversations)
        place = _place(self.garak.folder, name, ATTACK)
        status = self._run(name, intents, place, target.answer)
        if not any(entry.get("entry_type") == "completion" for entry in _entries(place)):
            return ProbeResult(f"it failed while it ran: {fault(place, status)}")
        return ProbeResult(None, missing, dict(target.unanswered))

    def _run(self, name: str, intents: list[str], place: Path, answer: Answer) -> int:
        """Run garak with one probe; a report that an earlier run left there is overwritten."""
        _report(place).unlink(missing_ok=True)
        generator = {
            "uri": f"{self.garak.url}/v1",
            "stop": None,
            "max_tokens": self.settings.max_new_tokens,
            "temperature": self.settings.sampling_temperature,
            "extra_params": {"timeout": 1e6},
        }
        config = {
            "system": {"lite": False},
            "run": {key: getattr(self.settings, key) for key in ("generations", "eval_threshold", "seed")},
            "plugins": {
                "target_type": "openai.OpenAICompatible",
                "target_name": self.lm.name,
                "extended_detectors": self.settings.extended,
                "generators": {"openai": {"OpenAICompatible": generator}},
            },
            "reporting": {"report_prefix": str(place), "confidence_interval_method": "none"},
        }
        file = place.with_suffix(".json")
        write_json(file, config)
        return self.garak.run(["--config", str(file), "--spec", ",".join([f"probes.{name}", *intents])], place, answer)


def _place(folder: Path, name: str, kind: str) -> Path:
    return folder / "probes" / name / kind


def _report(place: Path) -> Path:
    return place.with_suffix(".report.jsonl")


def _write(path: Path, parts: list[bytes]) -> None:
    path.write_bytes(b"".join(part.rstrip() + b"\n" for part in parts))  # garak leaves its last line open


def _entries(place: Path) -> list[dict[str, Any]]:
    file = _report(place)
    return [line.value for line in json_lines(file) if line.fault is None] if file.is_file() else []


def _loaded(place: Path, name: str, status: int, *, asked: bool, extended: bool) -> tuple[dict[str, str], str | None]:
    """Detectors beside the probe's first that garak could not load, and why; and why the probe cannot be used."""
    plugins: dict[str, Any] = {"probes": {}, "detectors": {}}
    for entry in _entries(place):
        for kind, found in mapping(entry.get("plugin_cache")).items():
            if kind in plugins:
                plugins[kind] |= found
    probe = plugins["probes"].get(f"probes.{name}")
    if probe is None:
        return {}, f"it cannot be loaded ({fault(place, status, 'garak.')})"
    others = {part for part in (probe.get("modality") or {}).get("in", ()) if part != "text"}
    if others:
        return {}, f"it needs {', '.join(sorted(others))}"
    first = probe["primary_detector"]
    wanted = [first, *(probe["extended_detectors"] if extended else ())]
    missing = {
        detector: fault(place, status, f"garak.detectors.{detector}")
        for detector in wanted
        if f"detectors.{detector}" not in plugins["detectors"]
    }
    if first in missing:
        return {}, f"its detector {first} cannot be loaded ({missing[first]})"
    if not asked:
        return {}, f"it asks nothing ({fault(place, status)})"
    return missing, None
