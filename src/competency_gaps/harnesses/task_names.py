"""Tasks named in one text, and the single tasks that a group or tag of lm-evaluation-harness stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from competency_gaps.config import BenchmarkConfig, ModelConfig, TaskSource
from competency_gaps.errors import UserError

HARNESSES = ("lm_eval", "inspect")


def parse_task(text: str, *, include_path: Path | None = None, num_fewshot: int | None = None) -> TaskSource:
    """Read ``lm_eval:NAME`` or ``inspect:FILE@TASK``.

    Both run Python code: the file, and functions that the task files of ``include_path`` name.

    Raises
    ------
    UserError
        If it is neither.
    """
    harness, colon, name = text.partition(":")
    if not colon or harness not in HARNESSES or not name:
        raise UserError(f"task {text!r}: expected lm_eval:NAME or inspect:FILE@TASK.")
    if harness == "inspect":
        return TaskSource(harness="inspect", name=name)
    return TaskSource(harness="lm_eval", name=name, include_path=include_path, num_fewshot=num_fewshot)


def inspect_place(name: str) -> tuple[Path, str | None]:
    """File and task of ``FILE@TASK``; None: no task is named. A path that is a file may hold an ``@`` itself."""
    if Path(name).is_file():
        return Path(name), None
    file, at, task = name.rpartition("@")
    return (Path(file), task) if at and file else (Path(name), None)


def task_entries(
    texts: Sequence[str], *, include_path: Path | None = None, num_fewshot: int | None = None
) -> list[dict[str, Any]]:
    """Entries of a configuration's ``benchmarks`` for named tasks, groups and tags as their single tasks.

    A name that occurs again (another group asks the same task in another way) gets a number.

    Raises
    ------
    MissingExtraError
        If lm-evaluation-harness is not installed.
    UserError
        If a text is of another form, or names nothing.
    """
    entries: dict[str, TaskSource] = {}
    for text in texts:
        for source in expand(parse_task(text, include_path=include_path, num_fewshot=num_fewshot)):
            if source in entries.values():
                continue
            name = base = benchmark_name(source)
            number = 1
            while name in entries:
                number += 1
                name = f"{base}-{number}"
            entries[name] = source
    return [
        {"name": name, "source": source.model_dump(mode="json", exclude_defaults=True) | {"kind": "task"}}
        for name, source in entries.items()
    ]


def benchmark_name(source: TaskSource) -> str:
    """What a benchmark made of this task is called: the task's own name."""
    if source.harness == "inspect":
        file, task = inspect_place(source.name)
        return task or file.stem
    path = Path(source.name)
    return path.stem if path.suffix == ".yaml" else source.name


def with_chat_template(choice: BenchmarkConfig, model: ModelConfig) -> BenchmarkConfig:
    """A benchmark whose task of lm-evaluation-harness says whether it is put into the chat template.

    The task's own word goes first, then the benchmark's, then the model's; ``auto`` is off, as in the harness.
    """
    source = choice.source
    if not isinstance(source, TaskSource) or source.harness != "lm_eval" or source.chat_template is not None:
        return choice
    wanted: Literal["on", "off"] = "on" if (choice.chat_template or model.chat_template) == "on" else "off"
    return choice.model_copy(update={"source": source.model_copy(update={"chat_template": wanted})})


def expand(source: TaskSource) -> list[TaskSource]:
    """The single tasks of a group or tag of lm-evaluation-harness, in its order; of anything else, itself.

    What a group sets for its members (few-shot examples, say) goes into their ``arguments``.

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
