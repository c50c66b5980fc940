"""The GitHub Action's steps, run as a runner would run them, with a stand-in for GitHub's command line."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys

import pytest
import yaml

from core_helpers import ROOT, write_lines

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GH = """\
#!{python}
import json, os, sys
with open({calls!r}, "a") as file:
    body = next((arg[6:] for arg in sys.argv if arg.startswith("body=@")), None)
    file.write(json.dumps([sys.argv[1:], body and open(body).read(), os.environ["GH_TOKEN"]]) + "\\n")
print({before!r} if "--paginate" in sys.argv else "")
sys.exit({status})
"""
CGAPS = "#!{python}\nfrom competency_gaps.cli.app import main\nmain()\n"


def log(path, scores):
    """Results in the form of every_eval_ever: forty questions of two kinds."""
    rows = [
        {
            "evaluation_id": "quiz/m",
            "evaluation_name": "quiz",
            "sample_id": f"q{number}",
            "input": {"raw": f"What stands on page {number} of @volume {number % 7}?"},
            "output": {"raw": [""]},
            "evaluation": {"score": score},
        }
        for number, score in enumerate(scores)
    ]
    return str(write_lines(path, rows))


class Runner:
    """Runs the action's steps with faked files and variables of GitHub."""

    def __init__(self, folder, before="", status=0):
        self.folder, self.outputs = folder, {}
        self.calls = folder / "calls.jsonl"
        (folder / "bin").mkdir()
        values = {"python": sys.executable, "calls": str(self.calls), "before": before, "status": status}
        for name, text in (("gh", GH), ("cgaps", CGAPS)):
            file = folder / "bin" / name
            file.write_text(text.format(**values))
            file.chmod(file.stat().st_mode | stat.S_IEXEC)

    def run(self, **inputs):
        """Run every step, with a package the installation too; the exit status of the first one that fails, else 0."""
        given = {name: str(value.get("default", "")) for name, value in ACTION["inputs"].items()}
        self.values = {f"inputs.{name}": value for name, value in given.items()}
        self.values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        self.values |= {"github.event.pull_request.number": "7", "github.token": "a-token"}
        for step in ACTION["runs"]["steps"]:
            if step["name"] == "Install" and "package" not in inputs:
                continue
            if self._wanted(step) and (status := self._step(step)):
                return status
        return 0

    def _wanted(self, step):
        """Whether a step's conditions hold: comparisons and values that must be given, all of them."""
        for condition in filter(None, step.get("if", "").split(" && ")):
            name, _, value = condition.partition(" == ")
            if self.values[name] != value.strip("'") if value else not self.values[name]:
                return False
        return True

    def _filled(self, text):
        """Text with its expressions filled in; one may give another."""
        while "${{" in text:
            text = re.sub(r"\$\{\{ (.+?) \}\}", lambda found: self.values[found[1]], text)
        return text

    def _step(self, step):
        output, summary = self.folder / "output", self.folder / "summary.md"
        output.write_text("")
        path = self.folder / "path"  # each step may put folders before those that it has
        path.touch()
        github = {
            "RUNNER_TEMP": self.folder,
            "GITHUB_OUTPUT": output,
            "GITHUB_STEP_SUMMARY": summary,
            "GITHUB_PATH": path,
        }
        env = {**os.environ, **{name: str(path) for name, path in github.items()}, "GITHUB_REPOSITORY": "o/r"}
        env |= {name: self._filled(value) for name, value in step.get("env", {}).items()}
        env["PATH"] = ":".join([*path.read_text().split(), str(self.folder / "bin"), env["PATH"]])
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(script, env=env, capture_output=True, text=True, check=False, timeout=600)
        self.said = done.stdout + done.stderr
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[name] = self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode


@pytest.fixture
def logs(tmp_path):
    same = log(tmp_path / "baseline" / "quiz_samples.jsonl", [1.0] * 40)
    return same, log(tmp_path / "candidate" / "quiz_samples.jsonl", [0.0] * 15 + [1.0] * 25)


def test_a_loss_is_commented_and_fails(tmp_path, logs):
    runner = Runner(tmp_path)
    assert runner.run(baseline=logs[0], candidate=logs[1]) == 3
    assert runner.outputs["verdict"] == "regression"
    (asked, _, token), (posted, body, _) = map(json.loads, runner.calls.read_text().splitlines())
    assert "repos/o/r/issues/7/comments" in asked and token == "a-token"
    assert posted[:5] == ["api", "--silent", "--method", "POST", "repos/o/r/issues/7/comments"]
    assert body.startswith("<!-- competency-gaps: What got worse? -->\n# What got worse?\n")
    assert (
        "(candidate) against quiz\\_samples.jsonl (baseline). Lost: overall." in body
        and body == (tmp_path / "summary.md").read_text()
    )


def test_the_comment_of_the_last_push_is_written_anew(tmp_path, logs):
    runner = Runner(tmp_path, before="31\n62")
    assert runner.run(baseline=logs[0], candidate=logs[0]) == 0
    assert runner.outputs["verdict"] == "no regression"
    _, (patched, _, _) = map(json.loads, runner.calls.read_text().splitlines())
    assert patched[:5] == ["api", "--silent", "--method", "PATCH", "repos/o/r/issues/comments/62"]


def test_a_token_that_may_only_read_leaves_the_verdict(tmp_path, logs):
    runner = Runner(tmp_path, status=1)
    assert runner.run(baseline=logs[0], candidate=logs[1]) == 3


def test_only_commenting_and_only_judging(tmp_path, logs):
    runner = Runner(tmp_path)
    assert runner.run(baseline=logs[0], candidate=logs[1], fail_on="", comment="false") == 0
    assert runner.outputs["verdict"] == "regression" and not runner.calls.exists()


def test_what_cannot_be_told_is_commented_and_fails(tmp_path, logs):
    runner = Runner(tmp_path)
    few = log(tmp_path / "few_samples.jsonl", [1.0] * 10)
    assert runner.run(baseline=logs[0], candidate=few) == 4
    assert runner.outputs["verdict"] == "not comparable" and len(runner.calls.read_text().splitlines()) == 2


def test_what_cannot_be_read_is_no_verdict(tmp_path, logs):
    runner = Runner(tmp_path)
    assert runner.run(baseline=logs[0], candidate=logs[1], fail_on="regresion") == 2
    assert runner.run(baseline=logs[0], candidate=str(tmp_path / "absent")) not in (0, 3, 4)
    assert "absent" in runner.said and not runner.calls.exists()
