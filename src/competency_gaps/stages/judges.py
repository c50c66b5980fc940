"""The judges of a run, as its folder records them beside the answers that they gave."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.checked import damaged, parse_document
from competency_gaps.config import AskConfig
from competency_gaps.errors import UserError, argument
from competency_gaps.files import write_atomic, write_json
from competency_gaps.text import shorten, visible

FOLDER = "judging"
WHO = "judge.json"
"""File beside the answers with the judges that were asked, or were to be asked; the latest is last."""


def read_judges(path: Path) -> list[dict[str, Any]]:
    """The records of a run's judges, the latest last; raises UserError if they cannot be read."""
    if not path.is_file():
        return []
    try:
        judges = [dict(judge) for judge in parse_document(path.read_bytes())["judges"]]
        kinds = {"model": str, "asked": bool, "answer_tokens": int | None}
        if not all(isinstance(judge.get(key), kind) for judge in judges for key, kind in kinds.items()):
            raise ValueError("a record of a judge is not what this program writes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(
            path, error, f"Restore it from a copy, or move {path.parent} away to ask the judge anew."
        ) from error
    return judges


def last_judge(config: AskConfig | None, judges: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """The record of the judge whose answers count; empty: there is none.

    Parameters
    ----------
    config
        None: the judge whose answers are kept.
    judges
        Their records, with ``model`` and ``asked`` (false: its requests were only exported).

    Raises
    ------
    UserError
        If the configuration names no judge and there are several.
    """
    if config is not None and config.model is not None:
        return next((dict(judge) for judge in judges if judge["model"] == config.model), {})
    known = list(judges) if config is not None else [judge for judge in judges if judge["asked"]] or list(judges)
    if len(known) > 1:
        names = ", ".join(repr(shorten(visible(str(judge["model"])), 60)) for judge in known)
        raise UserError(
            f"{str(folder)!r} has answers or requests of several judges, {names}: name one with "
            f"{argument('judge.model')}. With that option alone, the answers that this judge gave are used."
        )
    return dict(known[0]) if known else {}


def join_answers(folders: Sequence[Path], out: Path) -> None:
    """Keep the answers of judges and classifiers of several runs in a folder, so that nothing is asked twice.

    Raises
    ------
    UserError
        If the runs were judged by different models, or with answers of different length.
    """
    judges: dict[str, dict[str, Any]] = {}
    ways: dict[frozenset[tuple[str, Any]], Path] = {}
    for folder in folders:
        known = read_judges(folder / FOLDER / WHO)
        ways.setdefault(frozenset((judge["model"], judge.get("answer_tokens")) for judge in known), folder)
        for judge in known:
            before = judges.get(judge["model"], {})
            judges[judge["model"]] = {**judge, **before, "asked": judge["asked"] or before.get("asked", False)}
    ways.pop(frozenset(), None)
    if len(ways) > 1:
        listed = " and ".join(f"{folder} by {_judges_line(way)}" for way, folder in list(ways.items())[:2])
        raise UserError(
            f"the runs were judged by different models: {listed}. Judge them with the same judge first: run the "
            "command of one of them again with the other's 'judge.model' and 'judge.answer_tokens'."
        )
    for name in sorted({path.name for folder in folders for path in (folder / FOLDER).glob("*.jsonl")}):
        if not (out / FOLDER / name).is_file():
            files = [folder / FOLDER / name for folder in folders if (folder / FOLDER / name).is_file()]
            kept = [text if text.endswith(b"\n") else text + b"\n" for text in map(Path.read_bytes, files) if text]
            write_atomic(out / FOLDER / name, functools.partial(_write, b"".join(kept)))
    if judges and not (out / FOLDER / WHO).is_file():
        write_json(out / FOLDER / WHO, {"judges": list(judges.values())})


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _judges_line(judges: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(
        f"{shorten(visible(model), 60)!r}" + ("" if tokens is None else f" in up to {tokens} tokens")
        for model, tokens in sorted(judges, key=str)
    )
