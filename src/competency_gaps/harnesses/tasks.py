"""Tasks of other evaluation harnesses: named in one text, and read as items for this run's model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from competency_gaps.config import BenchmarkConfig, ModelConfig, TaskSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.log import free_name
from competency_gaps.items.item import Item, LeftOut, SourceReport
from competency_gaps.items.policy import Policy


def read_task(source: TaskSource) -> Iterator[Item | LeftOut | SourceReport | Policy]:
    """The items of a task of lm-evaluation-harness, the policy that scores them, and a report.

    Tasks of Inspect ask the model themselves: the pipeline evaluates them first (``inspect.evaluate.evaluated``) and
    reads their log.

    Raises
    ------
    MissingExtraError
        If the harness is not installed.
    UserError
        If there is no such task, its data cannot be reached, or it cannot be scored item by item.
    """
    if source.harness == "inspect":
        raise UserError(
            f"inspect:{source.name}: a task of Inspect asks the model itself, so it is a benchmark of its own in a run "
            "(give it as 'source', not among 'sources')."
        )
    from competency_gaps.harnesses.lm_eval.task_items import read_lm_eval

    yield from read_lm_eval(source)


def parse_task(text: str, *, include_path: Path | None = None, num_fewshot: int | None = None) -> TaskSource:
    """Parse ``lm_eval:NAME`` or ``inspect:FILE@TASK``.

    Both run Python code: the file, and functions that the task files of ``include_path`` name.

    Raises
    ------
    UserError
        If it is neither.
    """
    harness, _, name = text.partition(":")
    if name and harness == "inspect":
        return TaskSource(harness="inspect", name=name)
    if name and harness == "lm_eval":
        return TaskSource(harness="lm_eval", name=name, include_path=include_path, num_fewshot=num_fewshot)
    raise UserError(f"task {text!r}: expected lm_eval:NAME or inspect:FILE@TASK.")


def inspect_place(name: str) -> tuple[Path, str | None]:
    """File and task of ``FILE@TASK``; None: no task is named. The path of an existing file may contain ``@``."""
    if Path(name).is_file():
        return Path(name), None
    file, at, task = name.rpartition("@")
    return (Path(file), task) if at and file else (Path(name), None)


def task_entries(
    texts: Sequence[str], *, include_path: Path | None = None, num_fewshot: int | None = None
) -> list[dict[str, Any]]:
    """Entries of a configuration's ``benchmarks`` for named tasks; groups and tags become their single tasks.

    A name that occurs again (another group asks the same task in another way) gets a number.

    Raises
    ------
    MissingExtraError
        If lm-evaluation-harness is not installed.
    UserError
        If a text has another form, or names nothing.
    """
    entries: dict[str, TaskSource] = {}
    for text in texts:
        for source in expand(parse_task(text, include_path=include_path, num_fewshot=num_fewshot)):
            if source in entries.values():
                continue
            entries[free_name(_benchmark_name(source), entries, "-")] = source
    return [
        {"name": name, "source": source.model_dump(mode="json", exclude_defaults=True) | {"kind": "task"}}
        for name, source in entries.items()
    ]


def _benchmark_name(source: TaskSource) -> str:
    if source.harness == "inspect":
        file, task = inspect_place(source.name)
        return task or file.stem
    path = Path(source.name)
    return path.stem if path.suffix == ".yaml" else source.name


def with_chat_template(choice: BenchmarkConfig, model: ModelConfig) -> BenchmarkConfig:
    """Decide whether a task of lm-evaluation-harness uses the chat template.

    The setting of the task takes precedence over the benchmark's, and that over the model's; ``auto`` is off, as in
    the harness.
    """
    source = choice.source
    if not isinstance(source, TaskSource) or source.harness != "lm_eval" or source.chat_template is not None:
        return choice
    wanted: Literal["on", "off"] = "on" if (choice.chat_template or model.chat_template) == "on" else "off"
    return choice.model_copy(update={"source": source.model_copy(update={"chat_template": wanted})})


def expand(source: TaskSource) -> list[TaskSource]:
    """The single tasks of a group or tag of lm-evaluation-harness, in its order; of anything else, itself.

    Settings of a group for its members (few-shot examples, say) go into their ``arguments``.

    Raises
    ------
    MissingExtraError
        If lm-evaluation-harness is not installed.
    UserError
        If it knows no such name.
    """
    if source.harness == "inspect":
        return [source]
    from competency_gaps.harnesses.lm_eval.task_index import members

    return members(source)
