"""What an export tells neither of a judge nor of folders, and redacted of nobody's lists, scopes and probes."""

from __future__ import annotations

import json
import shutil

import pytest
from explorer_extras import PROBE, add_probe, by_labels, with_extras
from explorer_runs import NAMES
from test_export import _contents, page  # noqa: F401 - a page that stands for the built one
from typer.testing import CliRunner

from competency_gaps.checked import write_document
from competency_gaps.cli.app import app
from competency_gaps.explorer.export import export, read_part
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Context, Parts
from competency_gaps.explorer.parts.settings import PRIVATE, without_judge
from competency_gaps.explorer.queries import Subject, ask
from competency_gaps.items.item import Reason
from competency_gaps.matching.clauses import clauses
from core_helpers import seal

JUDGE = ("judge.intern.example", "SECRET_KEY_NAME")
"""Of the judge, what no export and no answer holds: its host, and where its key is."""
QUOTED = ("okapi", "axolotl", "narwhal", "wombat", "quokka", "numbat", "dugong", "judge-of-ours")
"""What a redacted export does not hold: an entry's id and description, a typed scope, a probed label, a setting of one
word, a pair's direction, a rubric, the judge's name."""
COMMAND = [
    *("cgaps", "run", "x.yaml", "--judge-base-url", f"http://{JUDGE[0]}/v1", f"--judge-key-env={JUDGE[1]}"),
    *("--set", f"judge.base_url=http://{JUDGE[0]}/v1", f"--set=judge.key_env={JUDGE[1]}", "--out", "a run"),
]


@pytest.fixture(scope="module")
def private(hostile, tmp_path_factory):
    """A run with everything that must not be told."""
    made = with_extras(hostile, tmp_path_factory.mktemp("private"))
    path = made.run / "manifest.json"
    manifest = json.loads(path.read_text())
    url = f"http://{JUDGE[0]}/v1"
    manifest["settings"]["judge"] = {"base_url": url, "model": QUOTED[7], "key_env": JUDGE[1], "concurrency": 8}
    manifest["settings"]["model"]["bos"] = QUOTED[4]
    manifest["command"] = COMMAND
    count = {"items": 90, "scored": 80, "failed": 0, "unasked": 0}
    manifest["judging"] = {"judge": QUOTED[7], "where": url, "classifiers": [], "benchmarks": {NAMES[1]: count}}
    stereotype = Reason("stereotype", f"stereotype preferred in 60.0%: {QUOTED[5]} 1% of 9", (0.6, 0.5, 0.7, 9, 3))
    score, foreign = (
        Reason("judge_score", "score 0.500 [0.400, 0.600] over 9 items", (0.5, 0.4, 0.6, 9)),
        Reason("other", f"says {QUOTED[6]}"),
    )
    manifest["benchmarks"][1]["figures"] |= {
        "pair": {"policy": "pair", "summary": [stereotype.as_dict()]},
        f"judge (rubric={QUOTED[6]})": {"policy": "judge", "summary": [score.as_dict()]},
        "own": {"policy": "own", "summary": [foreign.as_dict()]},
    }
    path.write_text(json.dumps(manifest))
    seal(made.run)
    pair = {"entry": QUOTED[0], "label_text": "x", "similarity": 0.75, "p_value": 0.01, "verdict": "same", "concept": 5}
    entries = [{"entry": name, "description": name} for name in ("first", QUOTED[0])]
    entries[1]["description"] = f"of the {QUOTED[1]}"
    write_document(made.run / "matches" / "own.json", by_labels("own.csv", entries, [pair]))
    row = {"label": "x", "similarity": 0.7, "p_value": 0.001, "chi_bench_elsewhere": None, "verdict": None}
    lacking = [{**row, "concept": 30, "in_scope": True, "coverage_status": "missing"}]
    counts = {name: {"count": 1} for name in ("covered", "under", "missing")}
    scope = {"benchmark": NAMES[1], "clauses": clauses([f"all of {QUOTED[2]}"]), "alpha": 0.01, "bound": 0.6}
    write_document(made.run / "scopes" / "x.json", {**scope, **counts, "rows": lacking})
    probe = {"concept": 2, "label": QUOTED[3], **PROBE}
    add_probe(made.run, "one", [probe])
    return open_runs([made.run], made.dictionary)


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "redacted"])
def exported(request, private, tmp_path_factory):
    done = export(private, tmp_path_factory.mktemp("out") / "audit", redact=request.param)
    return request.param, _contents(done.folder, private[0].key)


def test_no_export_tells_where_a_judge_is(exported, private):
    _, contents = exported
    for secret in JUDGE:
        assert not [name for name, content in contents.items() if secret in content], secret
    served = Parts(private[0].run, key="k").read("run.json").decode()
    assert all(secret in served for secret in JUDGE), "else this test could not fail"


def test_redacted_no_export_tells_what_others_wrote(exported):
    redacted, contents = exported
    for secret in QUOTED:
        holding = [name for name, content in contents.items() if secret in content]
        assert bool(holding) is not redacted, secret


def test_what_is_left_of_it(exported, private):
    redacted, contents = exported
    info = json.loads(contents[f"{private[0].key}/run.json"])
    settings = dict(info["settings"])
    assert settings["judge.concurrency"] == "8" and settings["span"] == "question" and "sae.folder" in settings
    assert not set(PRIVATE) & set(settings)
    details = json.loads(contents[f"{private[0].key}/concept/0.json"])
    matched = [one for one in details[5]["matched"] if one["taxonomy"] == "own.csv"]
    shown = "2" if redacted else f"{QUOTED[0]}: of the {QUOTED[1]}"
    # Its number on the page: the entry of the list that ``with_extras`` adds, and the list's own first, come before.
    expected = {"taxonomy": "own.csv", "by": "labels", "number": 2, "entry": shown, "strength": 0.75, "verdict": "same"}
    assert matched == [expected]
    (probe,) = info["probes"]
    figures = info["benchmarks"][1]["figures"]
    assert probe["sentence"].startswith("The weakness holds. 9 fresh items") and "Concept" not in probe["sentence"]
    assert probe["label"] == (None if redacted else QUOTED[3])
    if redacted:
        assert figures == [
            "judged by a model, 80 of 90 (89%) scored",
            "refusal: declined 10.0% [5.0%, 20.0%] of 90 items that should be answered",
            "pair: stereotype preferred in 60.0% [50.0%, 70.0%] of 9 pairs (50%: no bias); 3 neutral",
            "judge: score 0.500 [0.400, 0.600] over 9 items",
            "own: not told",
        ]
        assert info["command"] == ""
    else:
        assert len(figures) == 5
        assert info["command"] == "cgaps run x.yaml --out 'a run'"


def test_whoever_answers_questions_is_told_named_settings_only(private):
    subject = Subject(Context(private[0].run, "k"))
    card = ask(subject, "run_card", {})
    assert not any(secret in json.dumps(card) for secret in (*JUDGE, QUOTED[4]))
    told = {one["setting"]: one["value"] for one in card["settings"]}
    assert told["span"] == "question" and told["evidence.q"] == "0.05" and told["paper"] == "False"
    assert "model.name" in told and "sae.folder" in told
    assert not {"out", "sae.dictionary", "benchmarks", "model.system_prompt", "model.bos", "judge.model"} & set(told)
    assert card["command"] == "cgaps run x.yaml --out 'a run'"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("cgaps run  'a b.yaml'", "cgaps run  'a b.yaml'"),
        ("cgaps run a.yaml --judge-base-url http://x/v1 --judge-model m", "cgaps run a.yaml --judge-model m"),
        ("cgaps run a.yaml --judge-base-url=http://x --set judge.base_url=http://x", "cgaps run a.yaml"),
        ("cgaps run a.yaml --set 'judge={base_url: http://x}' --set span=all", "cgaps run a.yaml --set span=all"),
        ("cgaps run a.yaml --judge-key-env", "cgaps run a.yaml"),
        ("cgaps run 'open --judge-base-url http://x", ""),
        ("cgaps run 'open", "cgaps run 'open"),
        ("cgaps probe RUN --base-url http://x/v1 --key-env K --judge", "cgaps probe RUN --judge"),
        (["cgaps", "run", "a b", "--judge-base-url", "http://x"], ["cgaps", "run", "a b"]),
    ],
)
def test_commands_without_their_judge(command, shown):
    assert without_judge(command) == shown


def test_runs_of_one_name_are_numbered_and_not_told_apart_by_folders(bare, tmp_path):
    places = [tmp_path / parent / "run" for parent in ("secretalice", "secretbob")] + [tmp_path / "other"]
    for place in places:
        shutil.copytree(bare.run, place)
    opened = open_runs(places)
    done = export(opened, tmp_path / "audit")
    runs = json.loads(read_part(done.folder, "runs.json"))["runs"]
    assert [one["title"] for one in runs] == ["run (1)", "run (2)", "other"]
    assert [one["key"] for one in runs] == ["run", "run-2", "other"]
    assert opened[0].title == "secretalice/run", "on its own machine the folder above tells them apart"


def test_the_command_says_what_stays_and_what_goes(private, tmp_path):
    place = str(tmp_path / "out")
    done = CliRunner().invoke(app, ["export", str(private[0].run.path), place, "--redact", "--quiet"])
    assert done.exit_code == 0, done.output
    for said in ("entries of lists have numbers", "typed scopes", "names of benchmarks, themes and files"):
        assert said in done.output
