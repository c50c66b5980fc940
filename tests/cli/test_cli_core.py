"""The command line's contract: exit status, one JSON document, messages that say what to do, no torch to read."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

import competency_gaps
from competency_gaps.cli import app as application
from competency_gaps.errors import UserError, install_command
from competency_gaps.runs.manifest import SCHEMA_VERSION
from core_helpers import ROOT, TEXT, command

HEAVY = ("torch", "transformers", "sae_lens", "datasets", "reasoning_gym")


def call(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """``main()`` in this process: exit status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["cgaps", *arguments])
    monkeypatch.setattr(application, "_quiet_libraries", lambda console: None)
    with pytest.raises(SystemExit) as leave:
        application.main()
    out, err = capsys.readouterr()
    return int(leave.value.code or 0), out, err


@pytest.fixture
def cli(monkeypatch, capsys):
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


@pytest.fixture
def config_file(tiny_config, tmp_path):
    path = tmp_path / "run.yaml"
    small = {**tiny_config, "benchmarks": [{**b, "limit": 8} for b in tiny_config["benchmarks"]]}
    small["sae"] = {**small["sae"], "force": True}  # so few tokens need not look as the SAE's own do
    path.write_text(yaml.safe_dump(small))
    return path


def test_show_json(cli, tiny_run):
    status, out, _ = cli("show", str(tiny_run.path), "--json", "--all", "--limit", "5")
    document = json.loads(out)
    assert status == 0 and len(document["rows"]) == 5
    assert document["concepts"]["width"] == 64 and document["concepts"]["alive"] == int(
        tiny_run.concepts["alive"].sum()
    )
    assert [row["concept"] for row in document["rows"]] == [0, 1, 2, 3, 4]
    known = {row["concept"]: row for row in tiny_run.concepts.iter_rows(named=True)}
    assert all(known[row["concept"]]["chi_model"] == row["chi_model"] for row in document["rows"])
    assert {b["benchmark"] for b in document["benchmarks"]} == {"quiz", "sums"}


def test_show_one_benchmark_sorted(cli, tiny_run):
    status, out, _ = cli(
        "show", str(tiny_run.path), "--json", "--all", "--benchmark", "sums", "--sort", "-chi_bench", "--limit", "64"
    )
    rows = json.loads(out)["rows"]
    assert status == 0 and len(rows) == 64
    values = [row["chi_bench"] for row in rows]
    assert values == sorted(values, reverse=True) and values[0] > 0
    own = {r["concept"]: r for r in tiny_run.concept_benchmarks.iter_rows(named=True) if r["benchmark"] == "sums"}
    assert all(own[row["concept"]]["chi_bench"] == row["chi_bench"] for row in rows)


def test_show_leaves_out_what_is_no_competency(cli, tiny_run):
    rows = json.loads(cli("show", str(tiny_run.path), "--json", "--limit", "64", "--sort", "gap")[1])["rows"]
    assert rows and all(row["q_value"] is not None for row in rows)
    weak = json.loads(cli("show", str(tiny_run.path), "--json", "--limit", "64")[1])["rows"]
    assert {row["performance_status"] for row in weak} <= {"weak"}
    facts = {r["concept"]: r for r in tiny_run.concepts.iter_rows(named=True)}
    assert all(facts[row["concept"]]["ranked"] and facts[row["concept"]]["n_eff"] >= 20 for row in rows)


def test_concept_json(cli, tiny_run):
    concept = int(tiny_run.concepts.sort("support", descending=True)["concept"][0])
    status, out, _ = cli("concept", str(tiny_run.path), str(concept), "--json", "--limit", "2")
    document = json.loads(out)
    assert status == 0 and document["concept"] == concept
    assert [b["benchmark"] for b in document["benchmarks"]] == ["quiz", "sums"]
    strongest = document["items"]["strongest"]
    assert len(strongest) == 2 and strongest[0]["cas"] >= strongest[1]["cas"] > 0
    for item in strongest:
        assert 0 <= item["peak_start"] < item["peak_end"] <= len(item["text"])


def test_robustness_json_and_its_place_in_the_report(cli, tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    status, out, _ = cli("robustness", str(folder), "--json", "--quiet", "--against", str(tiny_run.path))
    document = json.loads(out)
    assert status == 0 and {one["tone"] for one in document["verdicts"]} <= {"good", "bad", "open"}
    assert document["against"]["same_sae"] and document["against"]["gap_correlation"] == pytest.approx(1)
    page = (folder / "report.html").read_text()
    assert all(one["sentence"].split(":")[0][:30] in page for one in document["verdicts"] if "'" not in one["sentence"])
    status, out, _ = cli("robustness", str(folder), "--quiet")
    assert status == 0 and "subsampling" in out and "outcome" in out


def test_reference_is_what_a_run_reads(cli, tiny_config, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join("so " * i + TEXT for i in range(8)))
    out_file = tmp_path / "reference.parquet"
    places = ["--model", tiny_config["model"]["name"], "--sae", tiny_config["sae"]["folder"], "--out", str(out_file)]
    status, out, _ = cli("reference", str(texts), *places, "--json", "--quiet")
    figures = json.loads(out)
    assert status == 0 and figures["tokens"] > 100 and 0 < figures["l0"] < 64
    assert pl.read_parquet(out_file)["coherence"].null_count() < 64
    without = str(tmp_path / "without.parquet")
    status, _, _ = cli("reference", str(texts), *places[:-1], without, "--no-coherence", "--quiet")
    assert status == 0 and pl.read_parquet(without)["coherence"].null_count() == 64
    run = competency_gaps.run({**tiny_config, "reference": str(out_file)}, tmp_path / "run")
    assert run.manifest["reference"]["lift"] and run.concepts["lift"].null_count() < 64
    chances = run.concepts["chance_seen"]
    assert chances.null_count() == 0 and 0 <= chances.min() <= chances.max() <= 1
    # What is not summed over plain text cannot be set beside it.
    for number, other in enumerate(({"pooling": "max"}, {"span": "prompt"})):
        run = competency_gaps.run({**tiny_config, "reference": str(out_file), **other}, tmp_path / f"other{number}")
        assert not run.manifest["reference"]["lift"] and run.concepts["lift"].null_count() == 64
        assert run.concept_benchmarks["lift"].null_count() == 128
    status, _, err = cli("reference", str(tmp_path / "none.txt"), *places)
    assert status == 2 and "there is no such file" in err


def test_doctor_json(cli):
    status, out, _ = cli("doctor", "--json")
    document = json.loads(out)
    assert status == 0 and document["machine"]["python"] == sys.version.split()[0]
    assert document["machine"]["torch"] == __import__("importlib.metadata").metadata.version("torch")
    assert all((facts["install"] is None) == (not facts["missing"]) for facts in document["extras"].values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nowhere"], "'nowhere' does not exist"),
        (["show", "RUN", "--sort", "chi_modl"], "Did you mean 'chi_model'?"),
        (["show", "RUN", "--benchmark", "quizz"], "Did you mean 'quiz'?"),
        (["show", "RUN", "--limit", "0"], "--limit"),
        (["show"], "Missing argument"),
        (["show", "RUN", "--jsn"], "No such option"),
        (["concept", "RUN", "64"], "concepts 0 to 63"),
        (["concept", "RUN"], "Missing argument"),
        (["report", "nowhere"], "does not exist"),
        (["run"], "missing: --model, --sae, --benchmark"),
        (["run", "nowhere.yaml"], "there is no such file"),
        (["run", "CONFIG", "--model", "m"], "give a configuration file and --set, or --model"),
        (["run", "CONFIG", "--set", "span"], "expected KEY=VALUE"),
        (["run", "CONFIG", "--set", "poling=max"], "Did you mean 'pooling'?"),
        (["run", "CONFIG", "--span", "answer"], "'question', 'prompt'"),
        (["run", "CONFIG"], "no run folder is given"),
        (["run", "--model", "m", "--sae", "nofolder", "--benchmark", "b.jsonl"], "RELEASE/ID"),
        (["shw", "RUN"], "No such command 'shw'"),
    ],
)
def test_wrong_input_is_status_2(arguments, says, cli, tiny_run, config_file, monkeypatch):
    monkeypatch.chdir(config_file.parent)
    places = {"RUN": str(tiny_run.path), "CONFIG": str(config_file)}
    status, out, err = cli(*[places.get(a, a) for a in arguments])
    assert status == 2 and out == "" and err.startswith("error: ") and says in " ".join(err.split())
    assert "Traceback" not in err


def test_other_errors_exit_with_status_1(cli, tiny_run, monkeypatch):
    from competency_gaps.cli import read

    def fails(path):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(read, "open_folder", fails)
    status, out, err = cli("show", str(tiny_run.path))
    assert status == 1 and out == "" and "failed: ZeroDivisionError: by zero" in err and "CGAPS_TRACEBACK=1" in err
    monkeypatch.setenv("CGAPS_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["cgaps", "show", "x"])
    with pytest.raises(ZeroDivisionError):
        application.main()


def test_help_exits_with_status_0(cli):
    status, out, _ = cli("--help")
    assert status == 0
    for name in ("demo", "run", "show", "concept", "report", "train-sae", "doctor"):
        assert name in out


def test_interrupt(cli, tiny_run, monkeypatch):
    from competency_gaps.cli import read

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(read, "open_folder", interrupted)
    status, out, err = cli("show", str(tiny_run.path), "--sort", "-chi bench")
    assert status == 1 and out == ""
    assert f"go on with: cgaps show {tiny_run.path} --sort '-chi bench'" in err


@pytest.fixture
def stub_report(monkeypatch):
    """A report that writes little, so that this file does not depend on the report package."""
    import types

    module = types.ModuleType("competency_gaps.report")
    module.print_summary = lambda run, console: console.print("summary")

    def write_report(run, path):
        Path(path).write_text("<html>")
        return Path(path)

    module.write_report = write_report
    monkeypatch.setitem(sys.modules, "competency_gaps.report", module)


def test_run_prints_one_json_document(cli, config_file, tmp_path, stub_report):
    out_folder = tmp_path / "run"
    status, out, err = cli(
        "run", str(config_file), "--out", str(out_folder), "--json", "--set", "pooling=max", "--limit", "6"
    )
    document = json.loads(out)
    assert status == 0 and document["run"] == str(out_folder) and document["report"].endswith("report.html")
    assert [b["items"] for b in document["benchmarks"]] == [6, 6]
    manifest = json.loads((out_folder / "manifest.json").read_text())
    assert (
        manifest["pooling"] == "max"
        and manifest["command"].startswith("cgaps run ")
        and manifest["schema_version"] == SCHEMA_VERSION
    )
    assert document["gate"] == manifest["gate"] and "reading" in err


def test_run_from_options(cli, tiny_config, tmp_path, benchmark_files, stub_report):
    arguments = ["run", "--model", tiny_config["model"]["name"], "--sae", tiny_config["sae"]["folder"], "--limit", "6"]
    arguments += [
        "--benchmark",
        str(benchmark_files / "quiz.jsonl"),
        "--benchmark",
        f"mine={benchmark_files / 'sums.jsonl'}",
    ]
    status, out, err = cli(
        *arguments, "--out", str(tmp_path / "run"), "--set", "model.dtype=float32", "--force", "--quiet"
    )
    assert status == 0 and "summary" in out and "reading" not in err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [b["name"] for b in manifest["benchmarks"]] == ["quiz", "mine"]


def test_a_failed_gate_exits_with_status_2(cli, config_file, tmp_path, stub_report):
    arguments = [
        "run",
        str(config_file),
        "--out",
        str(tmp_path / "run"),
        "--set",
        "sae.hook_name=blocks.0.hook_mlp_out",
        "--set",
        "sae.force=false",
    ]
    status, out, err = cli(*arguments, "--json")
    assert status == 2 and out == "" and "does not fit the activations at blocks.0.hook_mlp_out" in err
    status, out, _ = cli(*arguments, "--force", "--json")
    assert status == 0 and json.loads(out)["gate"]["forced"]


def test_a_missing_extra_exits_with_status_2(cli, config_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    status, out, err = cli("run", str(config_file), "--out", str(tmp_path / "run"))
    assert status == 2 and out == "" and install_command("run") in err


READ = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {heavy} else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import competency_gaps
run = competency_gaps.open_run(sys.argv[1])
run.concepts, run.concept_benchmarks, run.items, run.overlap, run.benchmarks
assert run.cas("quiz").nnz and run.concept_items(int(run.concepts.sort("support")["concept"][-1])).height
from competency_gaps.metrics import suite_metrics
from competency_gaps.cli.app import main
sys.argv = ["cgaps", *sys.argv[2:]]
try:
    main()
finally:
    loaded = sorted(set({heavy}) & {{name.split(".")[0] for name in sys.modules}})
    print("loaded:", loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["show", "RUN", "--json", "--all"], ["concept", "RUN", "3", "--json"], ["doctor", "--json"]]
)
def test_reading_needs_no_torch(arguments, tiny_run):
    """In a process in which the heavy packages cannot be imported at all."""
    found = command(
        str(tiny_run.path), *[str(tiny_run.path) if a == "RUN" else a for a in arguments], code=READ.format(heavy=HEAVY)
    )
    assert found.returncode == 0, found.stderr
    assert "loaded: []" in found.stderr
    json.loads(found.stdout)


def test_making_a_run_without_torch_says_how_to_get_it(tiny_run, config_file, tmp_path):
    found = command(
        str(tiny_run.path), "run", str(config_file), "--out", str(tmp_path / "run"), code=READ.format(heavy=HEAVY)
    )
    assert found.returncode == 2 and re.search(r"pip install .*\[run\]'", found.stderr)


def test_ctrl_c_in_a_real_process(config_file, tmp_path):
    """SIGINT while the model works: status 1, how to go on, and the same command does go on."""
    out = tmp_path / "run"
    code = (
        "import time\n"
        "from competency_gaps.activations.extract import Extractor\n"
        "from competency_gaps.cli.app import main\n"
        "from pathlib import Path\n"
        "def slow(self, sequences, advance):\n"
        "    if not sequences:\n"
        "        return []  # the first benchmark's rows come with its scores\n"
        f"    Path({str(tmp_path / 'working')!r}).touch()\n"
        "    time.sleep(120)\n"
        "Extractor.rows = slow\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(config_file), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
    )
    try:
        until = time.monotonic() + 250
        while not (tmp_path / "working").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1 and stdout == ""
    assert "stopped. What is finished is kept" in stderr and f"cgaps run {config_file} --out {out}" in stderr
    assert "Traceback" not in stderr and "Loading weights" not in stderr
    assert list((out / "responses").glob("*.parquet")) and not (out / "manifest.json").exists()
    shutil.rmtree(out)


def test_errors_carry_the_message_only(cli, tiny_run, monkeypatch):
    """Markup in a message is text, not formatting."""
    from competency_gaps.cli import read

    def fails(path):
        raise UserError("[bold]a[/bold] [b.jsonl]")

    monkeypatch.setattr(read, "open_folder", fails)
    assert cli("show", "x")[2] == "error: [bold]a[/bold] [b.jsonl]\n"
