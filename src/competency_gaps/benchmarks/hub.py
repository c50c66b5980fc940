"""Items from a dataset of the Hugging Face hub, or a local folder in the same form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import HubSource
from competency_gaps.errors import MissingExtraError, UserError, nearest


def read_hub(source: HubSource) -> Iterator[Record]:
    """The records of one split.

    Code that comes with a dataset never runs. An answer that is a class of ``datasets`` becomes an index into
    the class names, which are the options unless the record has others.

    Raises
    ------
    MissingExtraError
        If ``datasets`` is not installed.
    UserError
        If the dataset, its configuration or the split cannot be loaded.
    """
    dataset = _load(source)
    column = source.fields.get("answer", "answer")
    feature = dataset.features.get(column)
    names = list(feature.names) if type(feature).__name__ == "ClassLabel" else []
    with_choices = "choices" in source.fields or "choices" in dataset.features
    for index, row in enumerate(dataset):
        values: dict[str, Any] = dict(row)
        if names and not with_choices:
            values["choices"] = names
        yield Record(values, f"{source.path}, split {source.split}, row {index}")


def _load(source: HubSource) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "hub", "A benchmark of the hub") from error
    folder = Path(source.path)
    try:
        if any((folder / name).exists() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
            saved = datasets.load_from_disk(str(folder))
            return _split_of(saved, source) if isinstance(saved, datasets.DatasetDict) else saved
        place = {"split": source.split, "revision": source.revision}
        return datasets.load_dataset(source.path, source.name, **{**source.arguments, **place})
    except (OSError, TypeError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        configuration = f", configuration {source.name!r}" if source.name else ""
        raise UserError(
            f"the dataset {source.path!r}{configuration}, split {source.split!r} cannot be loaded: {error} "
            "Check path, name, split and revision, and that the hub can be reached."
        ) from error


def _split_of(saved: Any, source: HubSource) -> Any:
    if source.split not in saved:
        raise UserError(
            f"the dataset {source.path!r} has no split {source.split!r}; it has {', '.join(saved)}."
            f"{nearest(source.split, list(saved))}"
        )
    return saved[source.split]
