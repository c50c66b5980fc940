"""garak against a tiny model: its own counts are ours, and nothing is asked twice."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

pytest.importorskip("garak")

from competency_gaps.cli.app import app
from competency_gaps.config import GenerationConfig, ModelConfig
from competency_gaps.errors import UserError
from competency_gaps.harnesses.garak.child import Garak
from competency_gaps.harnesses.garak.target import Target
from competency_gaps.model.load import load_model
from competency_gaps.runs.open import open_folder

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
    run = open_folder(out)
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


def test_finished_probe_asks_nothing_again_and_another_is_refused(probed):
    command, out, told = probed

    def files():
        return {path: path.stat().st_mtime_ns for path in (out / "garak").rglob("*") if path.is_file()}

    before = files()
    kept = {"garak.report.jsonl", "settings.json", "outcome.json", "answers.jsonl"}
    assert {path.name for path in before} == kept, "what garak wrote beside its report is deleted"
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(again.stdout)["rates"] == told["rates"]
    assert files() == before
    other = [*command, "--eval-threshold", "0.7"]
    with pytest.raises(UserError, match="differs in eval_threshold"):
        CliRunner().invoke(app, other, catch_exceptions=False, standalone_mode=False)


@pytest.mark.slow
def test_interrupted_probe_keeps_its_answers(probed, tmp_path):
    command, before, told = probed
    out = tmp_path / "run"
    shutil.copytree(before / "garak", out / "garak")
    command = [part if part != str(before) else str(out) for part in command]
    answers = out / "garak" / "answers.jsonl"
    whole = answers.read_bytes()
    kept = whole.splitlines(keepends=True)
    assert len(kept) > 1
    (out / "garak" / "outcome.json").unlink()
    # What is kept is not made again: it is taken as it stands there.
    first = {**json.loads(kept[0]), "text": "Taken from the file."}
    answers.write_bytes(b"".join([json.dumps(first).encode() + b"\n", *kept[1:-1], kept[-1][:10]]))
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert answers.read_bytes().splitlines(keepends=True)[1:] == kept[1:]
    outputs = [output["text"] for entry in lines(out) for output in entry.get("outputs", []) if entry["status"] == 2]
    assert outputs.count("Taken from the file.") >= 1
    assert len(json.loads(again.stdout)["rates"]) == len(told["rates"])


def test_unknown_probes_are_refused_with_the_nearest(probed, tmp_path):
    command, _, _ = probed
    wrong = [part if part != SPEC else "lmrk" for part in command]
    wrong[wrong.index("--out") + 1] = str(tmp_path / "other")
    with pytest.raises(UserError, match="Did you mean 'lmrc'"):
        CliRunner().invoke(app, wrong, catch_exceptions=False, standalone_mode=False)


FETCH = """
import sys, urllib.request, requests, httpx
for get in (urllib.request.urlopen, lambda url: requests.get(url).raise_for_status(), httpx.get):
    for url in ("http://192.0.2.1/", "https://192.0.2.1/"):
        try:
            print(getattr(get(url), "status_code", "reached"))
        except Exception as error:
            print(501 if "501" in str(error) else repr(error))
"""


def test_without_online_requests_to_other_machines_are_refused(tmp_path):
    """The address answers nobody (RFC 5737): only the proxy can have said 501."""
    with contextlib.closing(Garak(tmp_path / "offline", online=False)) as garak:
        environment = {**os.environ, **garak.environment()}
        child = subprocess.Popen([sys.executable, "-c", FETCH], env=environment, stdout=subprocess.PIPE, text=True)
        while child.poll() is None:
            garak._server.handle_request()
        assert child.communicate()[0].split() == ["501"] * 6
    with contextlib.closing(Garak(tmp_path / "online", online=True)) as garak:
        assert not {name for name in garak.environment() if name.endswith("_proxy") and name != "no_proxy"}


def test_garak_ends_with_the_process_that_started_it(tmp_path):
    """A kill leaves no garak behind that repeats its requests for ever."""
    start = (
        "import sys\nfrom pathlib import Path\nfrom competency_gaps.harnesses.garak.child import Garak\n"
        "garak = Garak(Path(sys.argv[1]), online=False)\n"
        "garak.run(['--interactive'], Path(sys.argv[1]) / 'x', lambda messages: None)\n"
    )
    child = tmp_path / "sitecustomize.py"
    child.write_text(
        "import os, sys, time\nfrom pathlib import Path\n"
        "if '--interactive' in sys.argv:\n"
        "    Path('pid').write_text(str(os.getpid()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", start, str(tmp_path)], env=environment)
    pid = tmp_path / "pid"
    wait(lambda: pid.is_file() and pid.read_text())
    parent.kill()
    parent.wait()
    wait(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_target_answers_in_batches_as_one_by_one(model_folder, tmp_path):
    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    asks = [(("system", "Be brief."), ("user", f"What is {i} and the fox?")) for i in range(5)]

    def target(name, heat=0.0):
        return Target(lm, tmp_path / name, 8, GenerationConfig(temperature=heat), 512)

    together, alone = target("a"), target("b")
    together.prime(asks)
    kept = (tmp_path / "a").read_bytes()
    answers = [together.answer(conversation) for conversation in asks]
    assert answers == [alone.answer(conversation) for conversation in asks]
    assert (tmp_path / "a").read_bytes() == kept
    sampled = target("c", 1.0)
    drawn = [sampled.answer(asks[0]) for _ in range(6)]
    assert len(set(drawn)) > 1
    assert all(isinstance(text, str) for text in drawn)
    primed = target("e", 1.0)
    primed.prime([asks[0]] * 6)
    assert [primed.answer(asks[0]) for _ in range(6)] == drawn
    long = (("user", "fox " * 400),)
    refused = target("d")
    assert [refused.answer(long) for _ in range(2)] == [None, None]
    assert sum(refused.unanswered.values()) == 2
    again = target("d")
    assert again.answer(long) is None
    assert sum(again.unanswered.values()) == 1


def test_a_conversation_that_the_model_fails_on_has_no_answer(model_folder, tmp_path):
    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    bad = lm.tokenizer("¶", add_special_tokens=False)["input_ids"][-1]

    def embed(module, args):
        if (args[0] == bad).any():
            raise IndexError("index out of range")

    asks = [(("user", f"What is {i}?{'¶' * (i == 2)}"),) for i in range(5)]
    target = Target(lm, tmp_path / "a", 4, GenerationConfig(), 512)
    whole = Target(lm, tmp_path / "b", 4, GenerationConfig(), 512)
    expected = [whole.answer(conversation) for conversation in asks]
    lm.model.get_input_embeddings().register_forward_pre_hook(embed)
    target.prime(asks)
    assert [target.answer(conversation) for conversation in asks] == [*expected[:2], None, *expected[3:]]
    assert target.unanswered == {"the model fails on it: IndexError: index out of range": 1}
