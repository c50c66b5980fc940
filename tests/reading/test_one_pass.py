"""The pass that scores gives the concepts: nothing is read twice, and the rows are those of a pass of their own."""

from __future__ import annotations

import numpy as np
import pytest

import competency_gaps
from competency_gaps.reading import extract
from core_helpers import STORED, objects, with_benchmarks


def suite(tiny_config, scorer_of_generated: str, **settings):
    """Options behind the prompt, answers to a prompt, and sentences that are not the prompt."""
    quiz = {**tiny_config["benchmarks"][0], "sample": 12}
    sums = [{"prompt": f"What is {i} plus {i + 1}?", "answer": str(2 * i + 1)} for i in range(12)]
    written = {
        **objects("written", sums),
        "scorer": scorer_of_generated,
        "options": {"max_new_tokens": 5},
        "chat_template": "off",
        "after": " Answer:",
    }
    pairs = [
        {"prompt": f"Which one, {i}?", "pair": {"stereo": f"The fox {i}.", "anti": f"A dog {i}."}, "scorer": "pair"}
        for i in range(5)
    ]
    return with_benchmarks(tiny_config, [quiz, written, objects("pairs", pairs)], **settings)


@pytest.fixture
def own_passes(monkeypatch):
    """Sequences that were read by passes of their own."""
    counted: list[int] = []
    for name in ("read_hook", "read_after"):
        read = getattr(extract, name)

        def counting(lm, hook, *rest, read=read):
            counted.append(len(rest[-1]))
            return read(lm, hook, *rest)

        monkeypatch.setattr(extract, name, counting)
    return counted


@pytest.mark.parametrize("span", ["question", "prompt+bos", "response"])
def test_only_what_no_scoring_pass_reads_is_read_again(span, tiny_config, tmp_path, own_passes):
    """The pairs' prompts, which scoring never reads; for the span of the response, everything that has one."""
    run = competency_gaps.run(suite(tiny_config, "exact", span=span), tmp_path / "run")
    kept = run.items["excluded"].null_count()
    assert kept > 20
    assert sum(own_passes) == (kept if span == "response" else 5)


@pytest.mark.parametrize("span", ["question", "prompt"])
@pytest.mark.parametrize("budget", [32, 4096])
def test_rows_are_those_of_passes_of_their_own(span, budget, tiny_config, tmp_path, own_passes):
    """Without any request the same prompts are read by passes that end at the hook, padded on the other side."""
    config = suite(tiny_config, "exact", span=span, batch_tokens=budget)
    config["benchmarks"][0]["options"] = {"form": "lettered"}  # without a request, options are read with the question
    asked = competency_gaps.run(config, tmp_path / "asked")
    own_passes.clear()
    config = suite(tiny_config, "none", span=span, batch_tokens=budget)
    for one in config["benchmarks"][:2]:
        one["scorer"], one["options"], one["after"] = "none", {}, "\nAnswer:" if one["name"] == "quiz" else " Answer:"
    silent = competency_gaps.run(config, tmp_path / "silent")
    assert sum(own_passes) == silent.items.height
    for name in ("quiz", "written", "pairs"):
        a, b = asked.cas(name).toarray(), silent.cas(name).toarray()
        assert a.any() and a == pytest.approx(b, rel=STORED, abs=1e-4)
        assert np.array_equal(a > 0, b > 0)
    assert asked.items["text"].to_list() == silent.items["text"].to_list()
