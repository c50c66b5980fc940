"""Which items a run asks, where they come from, and how they are scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from competency_gaps.items.config.load import KINDS, Config, Switch
from competency_gaps.items.registry import LOGS


def _plain(value: Any) -> Any:
    """Return a value with NumPy's and polars' scalars as plain ones, because a configuration is stored as JSON."""
    return json.loads(
        json.dumps(value, default=lambda scalar: scalar.item() if hasattr(scalar, "item") else str(scalar))
    )


class FileSource(Config):
    """JSONL, CSV or Parquet files; a folder stands for the files in it."""

    kind: Literal["file"] = "file"
    path: Path
    """File or folder, or ``embedded:NAME`` for a benchmark of the demo."""
    fields: dict[str, str] = {}
    """Our field -> the file's column, where they differ, e.g. ``{prompt: question, answer: gold, cluster: passage,
    covariates.difficulty: p_wrong}``."""


class HubSource(Config):
    """A dataset of the Hugging Face hub, or a local folder in the same form, read by ``datasets``."""

    kind: Literal["hub"] = "hub"
    path: str
    """Dataset id or folder."""
    name: str | None = None
    """Configuration of the dataset."""
    split: str = "test"
    revision: str | None = None
    fields: dict[str, str] = {}
    """Our field -> the dataset's column; dots reach inside (``answers.text``), ``{a} {b}`` joins columns."""
    arguments: dict[str, Any] = {}
    """Further arguments of ``datasets.load_dataset``, such as ``data_files`` and ``field``."""

    @field_validator("arguments")
    @classmethod
    def _no_keys(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if {"token", "use_auth_token"} & set(arguments):
            raise ValueError("keep keys out of configurations: log in with the hub's own tool or set HF_TOKEN")
        return arguments


class ReasoningGymSource(Config):
    """A family of generated, verifiable tasks of ``reasoning-gym``; scored by its own verifier by default."""

    kind: Literal["reasoning_gym"] = "reasoning_gym"
    family: str
    seed: int = 0
    size: Annotated[int, Field(gt=0)] = 200
    difficulty: dict[str, Any] = {}
    """Keyword arguments of the family's configuration."""
    distinct: Literal["question", "content"] | None = "question"
    """``question``: no two tasks ask the same; a repeat is replaced by the next task that the family draws.
    ``content``: nor do two tasks with the same answer have the same characters in another order, as shuffles of one
    sentence or ``3 + 4`` and ``4 + 3`` do. None: the first ``size`` tasks as they are drawn, with repeats."""


class ObjectsSource(Config):
    """Plain Python objects, or records written into the configuration itself."""

    kind: Literal["objects"] = "objects"
    items: Annotated[list[dict[str, Any]], BeforeValidator(_plain)]
    """Records as they would stand in a JSONL file."""
    fields: dict[str, str] = {}
    """Our field -> the records' key, where they differ."""


class LogSource(Config):
    """Another tool's log of an evaluation: prompts, responses and scores come from it."""

    kind: Literal["log"] = "log"
    path: Path
    """File or output folder."""
    format: str | None = None
    """Name of the log's format; None: detected from the files. ``table``: CSV, JSONL or Parquet with ``fields``."""
    benchmark: str | None = None
    """Which of the benchmarks (tasks) at ``path``; None: there is only one."""
    metric: str | None = None
    """Which of the log's metrics (garak: detector) is the score; None: the format's default, which the run reports."""
    scorer: str | None = None
    """Which of lm-eval's filters or of Inspect's scorers; None: the first, which the run reports."""
    fields: dict[str, str] = {}
    """Our field -> the log's column: with ``format: table`` any field, with lm-eval, Inspect and every_eval_ever
    ``cluster``, ``group`` and ``covariates.NAME``, found in an item's document or metadata, or else in its record."""

    @field_validator("format")
    @classmethod
    def _known(cls, format_: str | None) -> str | None:
        if format_ not in (None, *LOGS):
            raise ValueError(f"unknown format {format_!r}; known are {', '.join(LOGS)}")
        return format_


class PluginSource(Config):
    """A source of a plug-in, or one that a program registered; it defines its own settings."""

    model_config = ConfigDict(extra="allow")

    kind: str
    """Name of the source. It is looked up when items are read, so that a finished run opens without the plug-in."""

    @model_validator(mode="before")
    @classmethod
    def _plain_settings(cls, settings: Any) -> Any:
        return _plain(settings) if isinstance(settings, dict) else settings


def _kind(value: Any) -> str:
    """Return the tag of a source's configuration: its kind, or ``plugin`` if that is not built in."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if kind in KINDS else "plugin"


Source = Annotated[
    Annotated[FileSource, Tag("file")]
    | Annotated[HubSource, Tag("hub")]
    | Annotated[LogSource, Tag("log")]
    | Annotated[ObjectsSource, Tag("objects")]
    | Annotated[ReasoningGymSource, Tag("reasoning_gym")]
    | Annotated[PluginSource, Tag("plugin")],
    Discriminator(_kind),
]


class BenchmarkConfig(Config):
    """One benchmark of a run."""

    name: str
    source: Source | None = None
    """Where the items come from."""
    sources: list[Source] = []
    """Several sources in place of ``source``; their items follow one another."""
    scorer: str | None = None
    """Scorer; None: the scorer that each item names."""
    options: Annotated[dict[str, Any], BeforeValidator(_plain)] = {}
    """Options of the scorer, e.g. ``{form: cloze, normalise: characters}``."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """At most this many items: the first ones."""
    sample: Annotated[int, Field(gt=0)] | None = None
    """At most this many items, evenly spaced over those that ``limit`` leaves."""
    before: str = ""
    """Text before the item's own: instructions, few-shot examples. Not part of the span ``question``."""
    after: str | None = None
    """Text after the item's own, e.g. a newline and ``Answer:``; None: the scorer's, which is empty in a chat."""
    system_prompt: str | None = None
    chat_template: Switch | None = None
    """Overrides the model's setting."""
    scope: str | None = None
    """What the benchmark claims to test, in words."""

    @model_validator(mode="after")
    def _some_source(self) -> BenchmarkConfig:
        if (self.source is None) == (not self.sources):
            raise ValueError("give either 'source' or 'sources'")
        return self

    @property
    def all_sources(self) -> list[Source]:
        """The sources, from whichever of the two fields is set."""
        return self.sources if self.source is None else [self.source]
