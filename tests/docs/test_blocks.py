"""Blocks of the pages run, on the run and logs that the notebooks make, unless a comment before them says why not."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
from test_docs import TEXTS

from competency_gaps.embedded import embedded_benchmark
from core_helpers import ROOT

sys.path.append(str(ROOT / "docs"))
import notebooks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
BLOCK = re.compile(r"^(<!--(?: not run:| screen:).*?-->\n)?```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMES = {
    "RUN": "run",
    **dict.fromkeys(("MODEL", "NEW", "checkpoint-3000"), "cedar-1b"),
    **dict.fromkeys(("OLD", "A", "checkpoint-2000"), "birch-1b"),
    **dict.fromkeys(("B", "checkpoint-4000"), "dune-1b"),
    **dict.fromkeys(("out/", "out", "my-logs/", "logs"), "logs"),
    **dict.fromkeys(("out/NEW", "out/checkpoint-3000", "candidate/logs"), "logs/cedar-1b"),
    **dict.fromkeys(("out/OLD", "out/checkpoint-2000", "baseline/logs"), "logs/birch-1b"),
    **dict.fromkeys(("more-logs/", "out/checkpoint-4000"), "logs/dune-1b"),
    "their-logs/": "logs/dune-1b",
    "RUN/improve/keep-100": "run/improve/keep-100",
    "GSM": "run",
    "LIST": "group",
    **dict.fromkeys(("quiz", "mmlu_pro"), "everyday"),
    "quiz=scores.csv": "everyday=scores.csv",
}
"""What stands on the pages -> what there is in the folder."""
OURS = re.compile(r"(?:\$ )?cgaps (?!demo|mcp|explore)")
"""The demo takes minutes and servers do not end: they have tests of their own."""


def typed(page: str) -> list[str]:
    """Commands of the page's blocks that should run."""
    lines = []
    for comment, language, block in BLOCK.findall(TEXTS[page]):
        if not comment and language in ("", "bash", "console"):
            block = block.replace("\\\n", " ")
            typed = re.findall(r"^\$ .*", block, re.MULTILINE) if block.startswith("$ ") else block.splitlines()
            lines += [part for line in typed for part in line.split(" && ")]
    return [line.partition("  #")[0].removeprefix("$ ").strip() for line in lines if OURS.match(line.strip())]


PAGES = [page for page in TEXTS if typed(page)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with the runs and logs of the notebooks, which run here, and with files as a user has them."""
    folder = tmp_path_factory.mktemp("pages")
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        third = beside.submit(notebooks.main, folder, ["saelens"], write=False)
        notebooks.main(folder, ["logs-to-findings"], write=False)
        shutil.copytree(folder / "run", folder / "demo-run")  # of one model
        notebooks.main(folder, ["many-models"], write=False)
        third.result()
    for name, suite in (("quiz", "school-science"), ("questions", "places-and-nature")):
        shutil.copy(embedded_benchmark(f"embedded:{suite}"), folder / f"{name}.jsonl")
    config = {
        "model": {"name": "embedded"},
        "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k"},
        "benchmarks": [{"name": "quiz", "source": {"kind": "file", "path": "quiz.jsonl"}}],
    }
    for name in ("CONFIG.yaml", "run.yaml"):
        (folder / name).write_text(json.dumps(config))
    examples = [f"school-science-{number:03}" for number in range(1, 9)]
    weakness = {"id": "plants", "description": "How plants grow", "examples": examples}
    (folder / "weaknesses.jsonl").write_text(json.dumps(weakness) + "\n")
    (folder / "llm.yaml").write_text("base_url: http://localhost:1/v1\nmodel: none\n")
    done = run("cgaps improve RUN --keep 100", folder)
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "run", folder / "kept")
    items = pl.read_parquet(folder / "run" / "items.parquet")
    items.select(pl.col("item_id").alias("id"), own=pl.col("score")).write_csv(folder / "scores.csv")
    return folder


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; what it makes goes to a folder of its own, and it reads few items."""
    words = [NAMES.get(word, word) for word in shlex.split(line)][1:]
    if words[0] == "run":
        words += [] if "--sample" in words else ["--sample", "30"]
    elif words[0] == "score":
        shutil.rmtree(folder / "run")
        shutil.copytree(folder / "kept", folder / "run")
    if "--out" in words and words[words.index("--out") + 1] == "run":
        words[words.index("--out") + 1] = "made"
        shutil.rmtree(folder / "made", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "80"}
    given = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL}
    return subprocess.run([*notebooks.CGAPS, *words], **given, capture_output=True, text=True)


@pytest.fixture(scope="module")
def ended(made, tmp_path_factory, request) -> Iterator[dict[str, Future[dict[str, subprocess.CompletedProcess[str]]]]]:
    """How the commands of each page end, each page's in a copy of the folder; two pages at a time."""

    def all_of(page: str) -> dict[str, subprocess.CompletedProcess[str]]:
        folder = shutil.copytree(made, tmp_path_factory.mktemp("page") / "folder")
        return {line: run(line, folder) for line in typed(page)}

    chosen = [test.callspec.params["page"] for test in request.session.items if "ended" in test.fixturenames]
    with ThreadPoolExecutor(2) as pool:
        yield {page: pool.submit(all_of, page) for page in chosen}


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page, ended):
    done = ended[page].result()
    faults = {line: one.stderr[-300:] for line, one in done.items() if one.returncode not in (0, 3)}  # 3: a loss
    assert not faults


@pytest.mark.parametrize("page", [page for page in TEXTS if "```python" in TEXTS[page]])
def test_python_runs(page, made, monkeypatch):
    monkeypatch.chdir(made)
    for comment, language, block in BLOCK.findall(TEXTS[page]):
        if language == "python" and not comment:
            exec(compile(ast.parse(block), page, "exec"), {})
