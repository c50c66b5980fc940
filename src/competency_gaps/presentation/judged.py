"""Lines about results of whole benchmarks and about judged items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.items.remark import Remark
from competency_gaps.text import integer, share_of, shorten


def figure_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Lines about the benchmarks of a run, from its policies and judges.

    Parameters
    ----------
    manifest : mapping
        Of the run; one without ``judging`` and ``figures`` gives no lines.
    """
    judging = manifest.get("judging") or {"benchmarks": {}}
    lines = [f"{shorten(name, 40)}: {line}" for name in judging["benchmarks"] for line in _judged(manifest, name)]
    for benchmark in manifest["benchmarks"]:
        lines += [f"{shorten(benchmark['name'], 40)}, {line}" for line in _figures(benchmark)]
    return lines


def benchmark_lines(manifest: Mapping[str, Any], name: str) -> list[str]:
    """The same of one benchmark, without its name."""
    own = [line for entry in manifest["benchmarks"] if entry["name"] == name for line in _figures(entry)]
    return [*_judged(manifest, name), *own]


def _judged(manifest: Mapping[str, Any], name: str) -> list[str]:
    judging = manifest.get("judging") or {"benchmarks": {}}
    count = judging["benchmarks"].get(name)
    if count is None:
        return []
    who = judging["judge"] or ", ".join(judging["classifiers"]) or "nobody"
    line = f"judged by {shorten(who, 60)}, {share_of(count['scored'], count['items'])} scored"
    if count["failed"]:
        line += f", {integer(count['failed'])} answers of the judge not usable"
    if count["unasked"]:
        line += f", {integer(count['unasked'])} items not judged"
    return [line]


def _figures(benchmark: Mapping[str, Any]) -> list[str]:
    entries = (benchmark.get("figures") or {}).items()
    return [f"{policy}: {Remark.of(remark)}" for policy, figures in entries for remark in figures["summary"]]
