"""The command line's contract: help, exit status, one JSON document, messages that say what to do."""

from __future__ import annotations

from collections import defaultdict

import pytest
import typer.main

import competency_gaps
from competency_gaps.cli import app as application
from competency_gaps.util.errors import MachineError, UserError
from core_helpers import ROOT, command


def leaves(command, *path):
    below = getattr(command, "commands", {})
    return [one for name, sub in below.items() for one in leaves(sub, *path, name)] if below else [(path, command)]


COMMANDS = leaves(typer.main.get_command(application.app))
OWN_WORDS = {"--out", "--model", "--sae", "--run", "--limit", "--concepts", "--benchmark", "--against", "--scores"}
"""Options whose help says what they mean for each command."""


def test_commands_and_options_are_few():
    found = [p for _, one in COMMANDS for p in one.params if p.param_type_name == "option" and p.name != "help"]
    assert len(COMMANDS) <= 20 and len(found) <= 115


def test_an_option_has_the_same_help_everywhere():
    helps = defaultdict(set)
    for _, one in COMMANDS:
        for parameter in one.params:
            helps[parameter.opts[0]].add(getattr(parameter, "help", None))
    assert {name for name, texts in helps.items() if len(texts) > 1 and name.startswith("--")} <= OWN_WORDS


def test_help_alone_exits_with_status_0(cli):
    status, out, err = cli()
    assert status == 0 and err == "" and out.strip() == cli("--help")[1].strip()
    assert [question for question in application.COMMANDS if question not in out] == [] and "Exit status" in out
    assert cli("concepts")[1].strip() == cli("concepts", "--help")[1].strip()
    assert cli("--version") == (0, f"competency-gaps {competency_gaps.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nowhere"], "nowhere' does not exist"),
        (["show", "RUN", "--jsn"], "No such option"),
        (["show", "RUN", "--list", "models", "--against", "peers"], "leave out --against"),
        (["show", "RUN", "nobody"], "nobody"),
        (["check", "RUN", "--against", "peers"], "need a model"),
        (["show", "RUN", "--concept", "prime"], "name the run's concepts"),
        (["run"], "give a configuration file, --log or --benchmark"),
        (["run", "none.yaml"], "there is no such file"),
        (["run", "--model", "m", "--sae", "s/i", "--benchmark", "b", "--set", "poling=max"], "Did you mean 'pooling'?"),
        (["run", "--model", "m", "--sae", "s/i", "--benchmark", "b"], "no run folder given"),
        (["score", "RUN"], "give --scores"),
        (["compare", "RUN"], "expected two runs"),
        (["improve", "RUN", "--items", "--keep", "5"], "--keep and --items cannot be combined"),
        (["improve", "RUN", "--keep", "5", "--n", "3"], "--n goes with --new or --missing, not with --keep"),
        (["concepts", "label", "D", "--step", "automatic", "--from", "a.csv"], "one of the two"),
        (["concepts", "label", "D", "--from", "a.csv", "--llm", "a.yaml"], "--llm goes with --step"),
        (["sae", "google/gemma-2-3b"], "gemma-2-9b"),
    ],
)
def test_wrong_input_is_status_2(arguments, says, cli, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = cli(*[str(tiny_run.path) if one == "RUN" else one for one in arguments])
    assert status == 2 and out == "" and err.startswith("error: ") and says in " ".join(err.split())


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (UserError("[bold]a[/bold] [b.jsonl]"), 2, "error: [bold]a[/bold] [b.jsonl]\n"),
        (MachineError("the disk is full"), 1, "failed: the disk is full\n"),
        (ZeroDivisionError("by zero"), 1, "failed: ZeroDivisionError: by zero\nSet CGAPS_TRACEBACK=1"),
        (KeyboardInterrupt(), 1, "resume with: cgaps show x 'a model'\n"),
    ],
)
def test_each_kind_of_failure_has_its_status(cli, monkeypatch, error, status, says):
    def fails(*_):
        raise error

    monkeypatch.setattr("competency_gaps.pipeline.without_reading.open_source", fails)
    found = cli("show", "x", "a model")
    assert found[:2] == (status, "") and says in found[2] and "Traceback" not in found[2]
    if isinstance(error, ZeroDivisionError):
        monkeypatch.setenv("CGAPS_TRACEBACK", "1")
        with pytest.raises(ZeroDivisionError):
            application.main()


WITHOUT = """
import sys
HEAVY = {"torch", "transformers", "sae_lens", "datasets", "reasoning_gym", "sklearn", "onnxruntime"}
HEAVY |= {"transformer_lens", "lm_eval"}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in HEAVY else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from competency_gaps.cli.app import app
from competency_gaps import open_run
for words in (["show"], ["show", "--list", "slices", "--json"], ["show", "--concept", "3"], ["coverage"]):
    app([words[0], sys.argv[1], *words[1:]], standalone_mode=False)
for words in (["sae", "gpt2", "--layer", "7"], ["logs", sys.argv[2]]):
    app(words, standalone_mode=False)
run = open_run(sys.argv[1])
assert run.cas("quiz").nnz and run.concept_items(int(run.concepts["support"].arg_max())).height
assert not HEAVY & {name.split(".")[0] for name in sys.modules}
"""


def test_the_help_needs_nothing_large():
    code = "import sys\nfrom competency_gaps.cli.app import app\napp(['--help'], standalone_mode=False)\n"
    done = command(code=code + "assert not {'numpy', 'polars', 'pydantic', 'torch'} & {*sys.modules}")
    assert done.returncode == 0, done.stderr


def test_reading_needs_no_torch(tiny_run):
    """In a process in which the heavy packages cannot be imported at all."""
    done = command(str(tiny_run.path), str(ROOT / "tests/logs/recorded/lm_eval/plain"), code=WITHOUT)
    assert done.returncode == 0, done.stderr
