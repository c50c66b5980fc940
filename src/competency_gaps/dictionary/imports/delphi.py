"""Read delphi's folders: ``explanations/{module}_latent{index}.txt``, and ``scores`` beside that folder."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.reading import Reading, SourceLabel, listed, name_of, parse_json, shown
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress

FILE = re.compile(r"(.+)_latent([0-9]{1,9})\.txt", re.DOTALL)
_SCORES = {"detection": ("detection",), "fuzzing": ("fuzz", "fuzzing")}


def explanations_folder(path: Path) -> Path | None:
    """The folder with the explanations: ``path`` or its subfolder ``explanations``; None if neither has any."""
    for folder in (path / "explanations", path):
        if folder.is_dir() and any(FILE.fullmatch(file.name) for file in folder.iterdir()):
            return folder
    return None


def read_delphi(path: Path, module: str | None, progress: Progress) -> Reading:
    """Read a folder of delphi.

    Parameters
    ----------
    path
        The results' folder, or its ``explanations``.
    module
        Which module's latents to take; None where there is only one.

    Raises
    ------
    UserError
        If there are several modules and none is chosen, or the chosen one is not there.
    """
    folder = explanations_folder(path)
    if folder is None:
        raise UserError(f"labels {str(path)!r}: there is no file MODULE_latentN.txt, as delphi writes them.")
    files = [(match, file) for file in sorted(folder.iterdir()) if (match := FILE.fullmatch(file.name))]
    modules = Counter(match.group(1) for match, _ in files)
    if module is None and len(modules) > 1:
        raise UserError(f"labels {str(path)!r} are of several modules: {listed(modules)}. Choose one with 'module'.")
    module = module if module is not None else next(iter(modules))
    if module not in modules:
        raise UserError(f"labels {str(path)!r}: there is no module {shown(module)}; it has: {listed(modules)}.")
    reading = Reading("delphi")
    reading.stated.module = module
    explainer = _explainer(folder.parent)
    for other, count in modules.items():
        if other != module:
            reading.leave_out(folder.name, "label of another module", other, count)
    chosen = sorted((int(match.group(2)), file) for match, file in files if match.group(1) == module)
    with progress.stage("reading labels", total=len(chosen), unit="files") as bar:
        for index, file in chosen:
            try:
                text = _explanation(file)
            except ValueError as error:
                reading.leave_out(folder.name, str(error), file.name)
            else:
                scores = {name: _score(folder.parent, kinds, file.name, reading) for name, kinds in _SCORES.items()}
                source = f"delphi:{module}"
                reading.labels.append(SourceLabel(index, text, folder.name, source, explainer, **scores))
            bar.advance()
    return reading


def balanced_accuracy(examples: Any) -> float | None:
    """Balanced accuracy of a scorer's answers: the mean of the shares found among active and among silent examples.

    Each example says whether the latent is active (``activating`` or ``ground_truth``) and what the scorer answered
    (``prediction``, true or a probability of at least 0.5); of the three, one may be derived from ``correct``.
    Examples without an answer (null, or delphi's -1) are ignored.

    Returns
    -------
    float in [0, 1], or None where it cannot be derived or one of the two groups is empty
    """
    if not isinstance(examples, list):
        return None
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for example in examples:
        if not isinstance(example, dict):
            return None
        truth = _truth(example.get("activating"), example.get("ground_truth"))
        answer, correct = _truth(example.get("prediction")), _truth(example.get("correct"))
        if truth is None and answer is not None and correct is not None:
            truth = answer == correct
        # Some versions mark unanswered examples as not correct; they are ignored.
        if "prediction" in example and answer is None:
            continue
        hit = correct if answer is None else answer == truth
        if truth is not None and hit is not None:
            hits[truth].append(hit)
    if not hits[True] or not hits[False]:
        return None
    return sum(sum(group) / len(group) for group in hits.values()) / 2


def _truth(*values: Any) -> bool | None:
    """The first value that is true, false, or a number in [0, 1], as a truth value."""
    for value in values:
        if isinstance(value, (bool, int, float)) and 0 <= value <= 1:
            return bool(value >= 0.5)
    return None


def _explanation(file: Path) -> str | None:
    """The text of a file: a JSON string, or plain text; ValueError with the reason if it holds neither."""
    raw = _text(file)
    try:
        value = parse_json(raw)
    except ValueError:
        return raw
    if isinstance(value, (dict, list)):
        raise ValueError("explanation is no text")
    return value if value is None or isinstance(value, str) else raw


def _score(root: Path, kinds: tuple[str, ...], name: str, reading: Reading) -> float | None:
    path = next((path for kind in kinds if (path := root / "scores" / kind / name).is_file()), None)
    if path is None:
        return None
    where = f"scores/{path.parent.name}"
    try:
        score = balanced_accuracy(parse_json(_text(path)))
    except ValueError:
        reading.leave_out(where, "file is not JSON: label kept without this score", name)
        return None
    if score is None:
        reading.leave_out(where, "no balanced accuracy can be derived: label kept without", name)
    return score


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError("file cannot be read as UTF-8") from error


def _explainer(root: Path) -> str | None:
    """The explainer that delphi's ``run_config.json`` names; None if it names none."""
    file = root / "run_config.json"
    try:
        content = parse_json(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (OSError, ValueError):
        return None
    return name_of(content.get("explainer_model")) if isinstance(content, dict) else None
