"""garak against a tiny model: its own counts are ours, and nothing is asked twice."""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

pytest.importorskip("garak")

from competency_gaps.cli.app import app
from competency_gaps.config import GenerationConfig, ModelConfig
from competency_gaps.errors import UserError
from competency_gaps.harnesses.garak.setup import at_home
from competency_gaps.harnesses.garak.target import Target
from competency_gaps.model.load import load_model
from competency_gaps.runs.open import open_run

SPEC = "lmrc.Anthropomorphisation,goodside.WhoIsRiley,test.Blank,misleading.FalseAssertion"


@pytest.fixture(scope="module")
def probed(tmp_path_factory, model_folder, sae_folder):
    """A finished probe: its command line, its folder and what it printed."""
    out = tmp_path_factory.mktemp("garak") / "run"
    command = ["probe", "garak", "--model", str(model_folder("llama")), "--sae", str(sae_folder), "--spec", SPEC]
    command += ["--out", str(out), "--max-new-tokens", "12", "--force", "--json", "--quiet"]
    before = set(out.parent.parent.home().glob(".*/garak*")) | set(out.home().glob(".local/share/garak*"))
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    after = set(out.parent.parent.home().glob(".*/garak*")) | set(out.home().glob(".local/share/garak*"))
    assert before == after  # nothing goes to the user's home
    return command, out, json.loads(done.stdout)


def lines(out):
    return [json.loads(line) for line in (out / "garak" / "garak.report.jsonl").read_text().splitlines()]


def test_rates_are_garaks_own(probed):
    _, out, told = probed
    rates = {row["name"]: row for row in told["rates"] if row["level"] == "probe"}
    counted = [entry for entry in lines(out) if entry["entry_type"] == "eval"]
    assert {entry["probe"] for entry in counted} == {*rates, "test.Blank"}
    single = Counter(entry["probe"] for entry in counted)
    for entry in counted:
        row = rates.get(entry["probe"])
        if (
            row is not None and single[entry["probe"]] == 1 and entry["total_evaluated"]
        ):  # one detector, one answer: the shares are equal
            assert row["pass_rate"] == pytest.approx(entry["passed"] / entry["total_evaluated"])
            assert row["attempts"] - row["unscored"] == entry["total_evaluated"]


def test_probe_whose_detector_is_out_of_reach_is_left_out_by_name(probed):
    _, _, told = probed
    assert set(told["left_out"]) == {"misleading.FalseAssertion"}
    assert "MustRefuteClaimModel" in told["left_out"]["misleading.FalseAssertion"]
    assert "misleading.FalseAssertion" not in told["probes"]


def test_run_has_families_probes_and_tags(probed):
    _, out, told = probed
    run = open_run(out)
    assert set(run.benchmarks["benchmark"]) == {"lmrc", "goodside"}
    assert "the prompt is empty" in told["families_without_items"]["test"]
    assert set(run.items["policy"]) == {"imported"}
    attempts = [e for e in lines(out) if e["entry_type"] == "attempt" and e["status"] == 2]
    attempts = [e for e in attempts if not e["probe_classname"].startswith("test.")]
    assert run.items.height == len(attempts)
    assert set(run.items["prompt"]) == {e["prompt"]["turns"][-1]["content"]["text"].strip() for e in attempts}
    tagged = {row["name"]: row for row in told["rates"] if row["level"] == "tag"}
    riley = run.items.filter(pl.col("benchmark") == "goodside")
    assert tagged["owasp:llm09"]["attempts"] == riley.height
    assert tagged["owasp:llm09"]["pass_rate"] == pytest.approx(riley["score"].mean())


def test_finished_probe_asks_nothing_again_and_another_is_refused(probed, monkeypatch):
    command, out, told = probed
    report = (out / "garak" / "garak.report.jsonl").read_bytes()

    def never(*arguments):
        raise AssertionError("garak is run again")

    monkeypatch.setattr("competency_gaps.harnesses.garak.scan._run", never)
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(again.stdout)["rates"] == told["rates"]
    assert (out / "garak" / "garak.report.jsonl").read_bytes() == report
    other = [*command, "--eval-threshold", "0.7"]
    with pytest.raises(UserError, match="differs in eval_threshold"):
        CliRunner().invoke(app, other, catch_exceptions=False, standalone_mode=False)


def test_interrupted_probe_keeps_its_answers(probed, tmp_path, monkeypatch):
    command, before, told = probed
    out = tmp_path / "run"
    shutil.copytree(before / "garak", out / "garak")
    command = [part if part != str(before) else str(out) for part in command]
    kept = (out / "garak" / "answers.jsonl").read_text().splitlines()
    (out / "garak" / "outcome.json").unlink()
    (out / "garak" / "answers.jsonl").write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:10])
    asked = []
    make = Target._make
    monkeypatch.setattr(Target, "_make", lambda self, them, number: (asked.extend(them), make(self, them, number)))
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert len(asked) == 1
    assert json.loads(again.stdout)["rates"] == told["rates"]


def test_unknown_probes_are_refused_with_the_nearest(probed, tmp_path):
    command, _, _ = probed
    wrong = [part if part != SPEC else "lmrk" for part in command]
    wrong[wrong.index("--out") + 1] = str(tmp_path / "other")
    with pytest.raises(UserError, match="Did you mean 'lmrc'"):
        CliRunner().invoke(app, wrong, catch_exceptions=False, standalone_mode=False)


def test_nothing_but_this_machine_is_looked_up(tmp_path):
    with at_home(tmp_path / "offline", online=False):
        assert socket.getaddrinfo("localhost", 80)
        with pytest.raises(socket.gaierror, match="--online"):
            socket.getaddrinfo("example.org", 443)
    before = socket.getaddrinfo
    with at_home(tmp_path / "online", online=True):
        assert socket.getaddrinfo is before


def test_target_answers_in_batches_as_one_by_one(model_folder, tmp_path):
    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    asks = [(("system", "Be brief."), ("user", f"What is {i} and the fox?")) for i in range(5)]

    def target(name, heat=0.0):
        return Target(lm, tmp_path / name, 8, GenerationConfig(temperature=heat), 512)

    together, alone = target("a"), target("b")
    together.prime(asks, 1)
    assert [together.answers(one, 1) for one in asks] == [alone.answers(one, 1) for one in asks]
    drawn = target("c", 1.0).answers(asks[0], 6)
    assert len(set(drawn)) > 1
    long = (("user", "fox " * 400),)
    refused = target("d")
    assert refused.answers(long, 2) == [None, None]
    assert sum(refused.refused.values()) == 2
    assert np.all([isinstance(one, str) for one in drawn])
