"""Neuronpedia's bulk export and its per-feature objects.

An export is a folder of ``batch-N.jsonl.gz`` with one explanation a line. ``index`` is text and lines come in any
order, so labels are keyed on that number, never on their position.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.reading import Reading, SourceLabel, json_lines, name_of, shown
from competency_gaps.progress import Progress

BATCH = re.compile(r"batch-([0-9]{1,9})\.jsonl(\.gz)?")


def batches(folder: Path) -> list[Path]:
    """The batch files of a folder in the order of their numbers."""
    paths = [path for path in folder.iterdir() if BATCH.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda path: (int(path.name.split("-")[1].split(".")[0]), path.name))


def export_parts(path: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Files of an export: explanations, features, and facts about the source.

    Parameters
    ----------
    path
        The export's folder, its subfolder ``explanations``, or one batch file.
    """
    if path.is_file():
        return [path], [], _sources(path.parent)
    inner = batches(path / "explanations")
    root = path if inner or path.name != "explanations" else path.parent
    return inner or batches(path), batches(root / "features"), _sources(root)


def read_export(path: Path, progress: Progress) -> Reading:
    """Read a bulk export.

    Where the export has ``features/`` too, its indices show which concepts were looked up, and its promoted tokens
    which labels are placeholders; without it, a concept with no explanation counts as never looked up.
    """
    explanations, features, sources = export_parts(path)
    return read_batches(explanations, features, sources, progress)


def read_batches(explanations: list[Path], features: list[Path], sources: list[Path], progress: Progress) -> Reading:
    """Read the files of a bulk export; see :func:`read_export`."""
    reading = Reading("neuronpedia")
    for file in sources:
        for _, row in json_lines(file, reading):
            reading.stated.add_source(row)
    with progress.stage("reading labels", total=len(explanations) + len(features), unit="files") as bar:
        for file in explanations:
            for place, row in json_lines(file, reading):
                if "explanations" in row:
                    add_object(reading, row, file.name, place)
                    continue
                reading.stated.add_neuronpedia(row.get("modelId"), row.get("layer"))
                index = reading.index(row.get("index"), file.name, place)
                if index is not None:
                    _add(reading, index, row, file.name, place)
            bar.advance()
        for file in features:
            where = f"features/{file.name}"
            for place, row in json_lines(file, reading):
                add_object(reading, {**row, "explanations": []}, where, place)
            bar.advance()
    return reading


def add_object(reading: Reading, value: dict[str, Any], where: str, place: str, index: int | None = None) -> None:
    """Add one per-feature object ``{modelId, layer, index, explanations: [...]}``.

    Parameters
    ----------
    where, place
        File, and place in it, for messages.
    index
        The requested concept; None takes it from the object.
    """
    if index is None:
        index = reading.index(value.get("index"), where, place)
    if index is None:
        return
    reading.stated.add_neuronpedia(value.get("modelId"), value.get("layer"))
    if isinstance(value.get("source"), dict):
        reading.stated.add_source(value["source"])
    reading.see(index, where, _source(reading, value, None))
    reading.add_tokens(index, value.get("pos_str"))
    explanations = value.get("explanations") or []
    if not isinstance(explanations, list):
        reading.leave_out(where, "explanations are no list", f"{place}: {shown(explanations)}")
        return
    for row in explanations:
        if isinstance(row, dict):
            names = {key: value.get(key) for key in ("modelId", "layer")}
            _add(reading, index, {**row, **names}, where, place)
        else:
            reading.leave_out(where, "explanation is no object", f"{place}: {shown(row)}")


def _add(reading: Reading, index: int, row: dict[str, Any], where: str, place: str) -> None:
    if "description" not in row:
        reading.leave_out(where, "explanation without a description", place)
        return
    text = row["description"]
    if text is not None and not isinstance(text, str):
        reading.leave_out(where, "description is no text", f"{place}: {shown(text)}")
        return
    source = _source(reading, row, row.get("typeName"))
    reading.labels.append(SourceLabel(index, text, where, source, name_of(row.get("explanationModelName"))))


def _source(reading: Reading, row: dict[str, Any], kind: Any) -> str:
    model, source = row.get("modelId"), row.get("layer")
    if isinstance(model, str) and isinstance(source, str):
        name = f"{model}/{source}"
    else:
        name = min(reading.stated.neuronpedia, default="unnamed")
    return f"neuronpedia:{name}" + (f"#{kind}" if isinstance(kind, str) and kind else "")


def _sources(folder: Path) -> list[Path]:
    return [path for name in ("source.jsonl", "source.jsonl.gz") if (path := folder / name).is_file()]
