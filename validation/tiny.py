"""A tiny random model, SAE and suite, made on the spot, and the commands that can be run on them."""

from __future__ import annotations

import hashlib
import inspect
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import polars  # noqa: F401 - imported before processes are forked, and used in none but those
import sae_lens  # noqa: F401
import sklearn  # noqa: F401
import torch
import transformers  # noqa: F401

import competency_gaps.cli.app  # noqa: F401
import conftest
from tiny_models import fit_tiny_sae, tiny_model

WORDS = ("fox", "dog", "city", "France", "March", "Paris", "sum", "word")
_TIMES = (
    "created",
    "timings",
    "read",
    "date",
    "checksum",
    "files",
    "stamp",
    "start_time",
    "end_time",
    "total_evaluation_time_seconds",
)
"""Keys of documents whose values differ at every run, or follow from those that do."""
_PAGES = (".html",)
"""Pages, which hold times."""


class Job(NamedTuple):
    """A command to be killed."""

    name: str
    arguments: list[str]
    folders: Sequence[str]
    """Folders in the working folder that the command writes."""
    needs: Sequence[str] = ()
    """Commands whose results it reads."""
    on_ray: bool = False
    """Whether it starts workers of Ray."""


def make_material(work: Path) -> None:
    """Write model, SAE, benchmarks, configuration, scores and a list with examples."""
    torch.set_num_threads(1)
    tokenizer = inspect.unwrap(conftest.tokenizer)()
    model = work / "model"
    tiny_model("llama", len(tokenizer)).save_pretrained(model)
    tokenizer.save_pretrained(model)
    fit_tiny_sae(work / "sae", model, "blocks.2.hook_resid_post")
    rng = random.Random(0)
    choice: list[dict[str, Any]] = [
        {
            **{"id": f"c{i}", "prompt": f"What is the {WORDS[i % 8]} of {WORDS[(i * 3 + 1) % 8]}? It is number {i}."},
            **{"choices": [WORDS[(i + k) % 8] for k in range(4)], "answer": rng.randrange(4), "metric": "choice"},
        }
        for i in range(40)
    ]
    asked = [{"id": f"i{i}", "prompt": f"Compute the sum of {i} and {i * 7 % 10}." * (1 + i % 3)} for i in range(24)]
    told = [{**row, "answer": str(i)} for i, row in enumerate(asked)]
    given = [{**row, "id": f"g{i}", "score": i % 3 / 2} for i, row in enumerate(asked)]
    for name, rows in (("quiz", choice), ("told", told), ("sums", given)):
        _lines(work / f"{name}.jsonl", rows)
    benchmarks: list[dict[str, Any]] = [
        {"name": "quiz", "options": {"form": "cloze"}},
        {"name": "told", "scorer": "contains", "options": {"max_new_tokens": 4}},
        {"name": "sums", "scorer": "imported"},
    ]
    for entry in benchmarks:
        entry["source"] = {"kind": "file", "path": str(work / f"{entry['name']}.jsonl")}
    config = {
        "model": {"name": str(model), "dtype": "float32", "device": "cpu"},
        "sae": {"folder": str(work / "sae"), "gate_tokens": 512, "force": True},
        "benchmarks": benchmarks,
        "batch_tokens": 256,
        "generation": {"temperature": 0.9, "seed": 3},
    }
    (work / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    ids = [row["id"] for row in (*choice, *told, *given)]
    scores = "".join(f"{name},{rng.random():.3f},{rng.random():.3f}\n" for name in ids)
    (work / "scores.csv").write_text(f"id,big,small\n{scores}", encoding="utf-8")
    entries = [
        {
            **{"id": f"e{i}", "description": f"entry {i}", "domain": f"d{i % 2}"},
            "examples": [f"{WORDS[i]} {WORDS[i]} {rng.choice(WORDS)} {rng.choice(WORDS)} {n}" for n in range(10)],
        }
        for i in range(6)
    ]
    (work / "list").mkdir()
    _lines(work / "list" / "list.jsonl", entries)


def _lines(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _job(
    name: str, *arguments: str, folders: Sequence[str], needs: Sequence[str] = (), on_ray: bool = False
) -> Callable[[Path], Job]:
    def make(work: Path) -> Job:
        return Job(name, [part.replace("WORK", str(work)) for part in arguments], folders, needs, on_ray)

    return make


JOBS: dict[str, Callable[[Path], Job]] = {
    "run": _job("run", "run", "WORK/config.yaml", "--out", "WORK/run", folders=["run"]),
    "score": _job("score", "score", "WORK/run", "--scores", "WORK/scores.csv", folders=["run"], needs=["run"]),
    "exemplars": _job(
        *("exemplars", "concepts", "exemplars", "--run", "WORK/run"),
        *("--out", "WORK/dictionary"),
        folders=["dictionary"],
        needs=["run"],
    ),
    "label": _job(
        *("label", "concepts", "label", "WORK/dictionary", "--step", "automatic"),
        folders=["dictionary"],
        needs=["run", "exemplars"],
    ),
    "name": _job(
        *("name", "concepts", "name", "WORK/run", "WORK/dictionary"),
        folders=["run"],
        needs=["run", "exemplars", "label"],
    ),
    "match": _job("match", "match", "WORK/run", "WORK/list/list.jsonl", folders=["run", "list"], needs=["run"]),
    "check": _job("check", "check", "WORK/run", folders=["run"], needs=["run"]),
    "show": _job("show", "show", "WORK/run", "big", folders=["run"], needs=["run", "score"]),
    "ray": _job(
        *("ray", "run", "WORK/config.yaml", "--ray", "local", "--set", "ray.workers=2"),
        *("--out", "WORK/ray"),
        folders=["ray"],
        on_ray=True,
    ),
}
"""In the order in which they run: each rests on what those before it left."""


def contents(folders: Sequence[Path]) -> dict[str, str]:
    """Hashes of all files, by name: of bytes, and of what documents say but for times."""
    held, same = {}, Counter[str]()
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if file.is_file() and file.suffix not in _PAGES:
                name = f"{folder.name}/{file.relative_to(folder)}"
                plain = _without_time(name)
                same[plain] += 1
                held[f"{plain} {same[plain]}"] = hashlib.sha256(_content(file)).hexdigest()
    return held


def _without_time(name: str) -> str:
    """lm-evaluation-harness's files have the time in their names."""
    return name.split("_20", 1)[0] if "lm_eval" in name else name


def _content(file: Path) -> bytes:
    if file.suffix == ".json":
        return json.dumps(_timeless(json.loads(file.read_bytes())), sort_keys=True).encode()
    return file.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in _TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list) else value
