"""Inspect's logs: real ones of a mock model against Inspect's own figures, and odd ones made by hand."""

from __future__ import annotations

import json
import random
import sys
import zipfile
from pathlib import Path

import pytest
from inspect_log_tasks import FAILS
from log_reading import codes, counts
from log_reading import read as read_all

from competency_gaps.items.item import Counted, Reason
from competency_gaps.logs import inspect as inspect_ai_files
from competency_gaps.logs.find import find_parts
from competency_gaps.logs.inspect_sample import INSIDE, NOT_INSIDE, WITH_OPTIONS, read_exchange
from competency_gaps.logs.prompt import WHOLE
from competency_gaps.util.errors import MissingExtraError, UserError
from log_samples import head, message, write_log
from log_samples import inspect_sample as sample

pytest.importorskip("zipfile_zstd")  # teaches zipfile the compression of .eval files
TASKS = ["quiz", "broken", "mixed", "examples"]
ZSTD = 93


@pytest.fixture(scope="session")
def real(tools) -> Path:
    """Logs that Inspect wrote."""
    return tools / "inspect"


def log_of(folder: Path, form: str, task: str) -> Path:
    (path,) = (folder / form / task).glob(f"*.{form}")
    return path


@pytest.mark.parametrize(
    ("task", "scorer", "metric", "figure"),
    [
        ("quiz", None, None, ("choice", "choice", "accuracy")),
        ("quiz", "parts", "length", ("parts", "length", "mean")),
        ("quiz", "parts", "clear", ("parts", "clear", "mean")),
        ("mixed", None, None, ("moods", "moods", "accuracy")),
        ("mixed", "includes", None, ("includes", "includes", "accuracy")),
        ("examples", None, None, ("includes", "includes", "accuracy")),
    ],
)
def test_mean_is_inspects_own(real, task, scorer, metric, figure):
    path = log_of(real, "eval", task)
    with zipfile.ZipFile(path) as archive:
        results = json.loads(archive.read("header.json"))["results"]
    (theirs,) = [entry for entry in results["scores"] if (entry["scorer"], entry["name"]) == figure[:2]]
    chosen = {name: value for name, value in (("scorer", scorer), ("metric", metric)) if value}
    items, _, report = read_all(path, **chosen)
    scores = [item.score for item in items if item.score is not None]
    assert sum(scores) / len(scores) == pytest.approx(theirs["metrics"][figure[2]]["value"], abs=1e-12)
    assert len(scores) == theirs["scored_samples"]
    assert (report.scorer, report.metric) == (figure[0], metric)
    assert not any(warning.code == "other_mean" for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_messages_are_what_the_model_was_sent(real, task):
    """Inspect records each call of the model as an event: its input is the truth about what was read."""
    from inspect_ai.log import read_eval_log

    calls = {}
    for one in read_eval_log(str(log_of(real, "eval", task)), resolve_attachments="full").samples:
        sent = next((event.input for event in one.events if event.event == "model"), None)
        if sent is not None:
            calls[str(one.id), one.epoch] = [(m.role, m.text) for m in sent]
    items, _, _ = read_all(log_of(real, "eval", task))
    compared = 0
    for item in items:
        for epoch in item.identity["epochs"]:
            if (item.id, epoch) in calls:
                assert [(m["role"], m["content"]) for m in item.messages] == calls[item.id, epoch]
                compared += 1
    assert compared == len(calls) > 0


@pytest.mark.shared
def test_logs_of_others_are_read_as_inspect_reads_them(shared):
    """Logs of several releases, and of a format whose events name the messages of a pool: prompts and mean scores."""
    folder = shared.parent / "results" / "agents" / "transcripts" / "inspect"
    if not folder.is_dir():
        pytest.skip("the shared results do not lie beside this checkout")
    inspect_log = pytest.importorskip("inspect_ai.log")
    compared = 0
    for path in sorted(folder.glob("*.eval")):
        log = inspect_log.read_eval_log(str(path), resolve_attachments="full")
        sent = {}
        for one in log.samples:
            events = one.events
            with zipfile.ZipFile(path) as archive:
                raw = json.loads(archive.read(f"samples/{one.id}_epoch_{one.epoch}.json"))
            if "message_pool" in raw:
                pool = json.dumps({"messages": raw["message_pool"], "calls": []})
                events = inspect_log.expand_events(json.dumps(raw["events"]), pool)
            first = next(event for event in events if event.event == "model")
            sent.setdefault(str(one.id), []).append([(m.role, m.text) for m in first.input])
        items, left_out, _ = read_all(path)
        assert not left_out
        for item in items:
            assert [(m["role"], m["content"]) for m in item.messages] in sent[item.id]
            compared += 1
        scores = [item.score for item in items if item.score is not None]
        metrics = log.results.scores[0].metrics if scores else {}
        for name in {"accuracy", "mean"} & set(metrics):
            assert sum(scores) / len(scores) == pytest.approx(metrics[name].value, abs=1e-3)
    assert compared > 200


def test_messages_in_a_pool(tmp_path):
    """Events of format 3 name places in a pool; the sample's own messages are whole."""
    pool = [message("system", "Be brief. " * 20), message("user", "Which?", "input")]
    event = {"event": "model", "input": [], "input_refs": [[0, 2]], "tools": ["attachment://0"]}
    asked = sample(1, "C", messages=[*pool, message("assistant", "This.", "generate")])
    path = write_log(tmp_path / "log.json", [{**asked, "events": [event], "message_pool": pool}], version=3)
    ((item,), _, _) = read_all(path)
    begin, end = event["input_refs"][0]
    assert [(m["role"], m["content"]) for m in item.messages] == [(m["role"], m["content"]) for m in pool[begin:end]]
    assert item.score == 1.0


def test_both_forms_of_one_log_give_the_same_items(real):
    items, _, report = read_all(log_of(real, "eval", "quiz"))
    again, _, other = read_all(log_of(real, "json", "quiz"))
    assert items == again
    assert (report.records, report.warnings) == (other.records, other.warnings)


def test_epochs_are_averaged_without_failed_ones(real):
    path = log_of(real, "eval", "quiz")
    values = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("samples/") and not (raw := json.loads(archive.read(name))).get("error"):
                values.setdefault(raw["id"], []).append({"C": 1.0, "I": 0.0}[raw["scores"]["choice"]["value"]])
    items, _, report = read_all(path)
    assert {item.id: item.score for item in items} == {id: sum(v) / len(v) for id, v in values.items()}
    assert len(values[FAILS]) == 1
    assert (report.records, report.items, report.averaged) == (12, 6, 12)
    assert all(item.epochs == 2 for item in items)
    failed = next(item for item in items if item.id == FAILS)
    assert failed.identity["epoch_scores"][0] is None
    assert "Answer the following" in failed.messages[-1]["content"]
    assert counts(report.unscored_because) == {"sample_failed": 1}


def test_own_text_is_the_question_with_its_options(real):
    items, _, report = read_all(log_of(real, "eval", "quiz"))
    first = items[0]
    assert first.prompt == "What is 0 plus 0?\n\nA) 0\nB) 1\nC) no idea"
    assert first.messages[-1]["content"][slice(*first.body)] == first.prompt
    assert sum(report.body_text.values()) == 6
    items, _, _ = read_all(log_of(real, "eval", "mixed"))
    assert items[0].prompt == "Say one."


def test_a_dict_needs_a_choice(real):
    path = log_of(real, "eval", "quiz")
    with pytest.raises(UserError, match=r"length, clear"):
        read_all(path, scorer="parts")
    with pytest.raises(UserError, match="Did you mean 'length'"):
        read_all(path, scorer="parts", metric="lenght")
    with pytest.raises(UserError, match=r"no sample was scored by 'part'.*Did you mean 'parts'"):
        read_all(path, scorer="part")
    with pytest.raises(UserError, match="one value"):
        read_all(path, metric="length")
    assert read_all(path, metric="accuracy")[2].metric == "accuracy"
    items, _, report = read_all(path, scorer="parts", metric="none")
    assert {item.score for item in items} == {None}
    assert report.warnings == ()


def test_a_folder_gives_each_tasks_newest_log(real):
    parts = {part.benchmark: part for part in find_parts(real)}
    assert set(parts) == set(TASKS)
    assert all(part.model == "mockllm/model" for part in parts.values())
    assert parts["quiz"].notes


def test_json_needs_no_package_and_eval_says_which(real, monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "inspect_ai":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    assert len(read_all(log_of(real, "json", "quiz"))[0]) == 6

    def unknown(archive, name):
        raise NotImplementedError("That compression method is not supported")

    monkeypatch.setattr(zipfile.ZipFile, "read", unknown)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[inspect\]"):
        read_all(log_of(real, "eval", "quiz"))


def test_a_killed_evaluation_is_read_as_far_as_written(real, tmp_path):
    """Before the end an ``.eval`` has its journal and no header; older versions compressed with deflate."""
    path = tmp_path / "2026_killed.eval"
    with (
        zipfile.ZipFile(log_of(real, "eval", "quiz")) as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as cut,
    ):
        for name in whole.namelist():
            if name == "_journal/start.json" or name.endswith("_epoch_1.json"):
                cut.writestr(name, whole.read(name))
        cut.writestr("samples/q9_epoch_1.json", "{half")
    items, left_out, report = read_all(path)
    assert len(items) == 6
    assert [one.where for one in left_out] == ["2026_killed.eval, samples/q9_epoch_1.json"]
    assert ("log_not_finished", (7, 12)) in codes(report.warnings)


# By hand


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1.0),
        ("I", 0.0),
        ("P", 0.5),
        ("N", 0.0),
        ("Yes", 1.0),
        ("no", 0.0),
        (False, 0.0),
        (0.25, 0.25),
        ("0.75", 0.75),
        (float("nan"), None),
        ("c", None),
        (None, None),
    ],
)
def test_values(tmp_path, value, score):
    ((item,), _, report) = read_all(write_log(tmp_path / "log.json", [sample(1, value)]))
    assert item.score == score
    assert bool(report.unscored_because) == (score is None)


@pytest.mark.parametrize("value", [7, -1, "7", "-0.5", float("inf"), {"a": 1.5}, [2]])
def test_values_outside_0_and_1_are_refused(tmp_path, value):
    """Else a grader from 0 to 10 would leave only its worst answers scored."""
    key = {"metric": "a"} if isinstance(value, dict) else {"metric": "0"} if isinstance(value, list) else {}
    made = [sample(1, value), sample(2, {"a": 1, "b": 1} if isinstance(value, dict) else [1] if key else 1)]
    path = write_log(tmp_path / "log.json", made)
    with pytest.raises(UserError, match=r"sample 1: the score by 'match' is .*expected a number in \[0, 1\].*'none'"):
        read_all(path, **key)
    assert [item.score for item in read_all(path, metric="none")[0]] == [None, None]


def test_the_scorer_is_the_logs_first_not_the_first_samples(tmp_path):
    both = {"s": {"value": "C"}, "b": {"value": "I"}}
    made = [sample(1, scores={"b": {"value": "I"}}), *(sample(i, scores=both) for i in (2, 3, 4))]
    results = {"scores": [{"name": name, "scorer": name, "metrics": {}} for name in ("gone", "s", "b")]}
    for more in ({"results": results}, {"eval": {"scorers": [{"name": "s"}, {"name": "b"}]}}):
        items, _, report = read_all(write_log(tmp_path / "log.json", made, **more))
        assert [item.score for item in items] == [None, 1.0, 1.0, 1.0]
        assert (report.scorer, report.available["scorer"]) == ("s", ("b", "s"))
        assert Counted(Reason("not_by_scorer", "no score by s"), 1) in report.unscored_because
    assert [item.score for item in read_all(write_log(tmp_path / "log.json", made))[0]] == [0.0] * 4


def test_ids_that_differ_in_kind_alone_are_two_samples(tmp_path):
    spec = {"dataset": {"sample_ids": ["1", 1]}}
    path = write_log(tmp_path / "log.json", [sample(1, "C", text="A?"), sample("1", "I", text="B?")], eval=spec)
    items, _, _ = read_all(path)
    assert [(item.id, item.prompt, item.score) for item in items] == [("1#2", "B?", 0.0), ("1", "A?", 1.0)]
    assert [item.identity["sample_id"] for item in items] == ["1", 1]


@pytest.mark.slow
def test_values_that_inspect_reads_are_read_alike():
    from_inspect = pytest.importorskip("inspect_ai.scorer").value_to_float()
    from competency_gaps.logs.inspect_sample import number

    for value in ("C", "I", "P", "N", "yes", "No", "True", "false", True, 0, 1, 0.5, "0.5", "1"):
        assert number(value).value == from_inspect(value)


def test_a_list_is_chosen_by_position(tmp_path):
    path = write_log(tmp_path / "log.json", [sample(1, [0.5, 1]), sample(2, [1])])
    items, _, report = read_all(path, metric="1")
    assert [item.score for item in items] == [1.0, None]
    assert report.available["metric"] == ("0", "1")
    with pytest.raises(UserError, match=r"several values per sample.*\(0, 1\)"):
        read_all(path)


def test_prompts_of_every_kind(tmp_path):
    parts = [{"type": "text", "text": "Look."}, {"type": "text", "text": "Why?"}]
    picture = [*parts, {"type": "image", "image": "attachment://0"}]
    samples = [
        sample("parts", messages=[message("user", parts)]),
        sample("picture", messages=[message("user", picture)]),
        sample("none", messages=[]),
        sample("empty", text=" ", messages=[]),
        sample("begun", messages=[message("user", "Why?"), message("assistant", "Because", "input")]),
        sample(
            "tool",
            messages=[
                message("user", "Why?"),
                message("assistant", "", "generate", tool_calls=[{"function": "look"}]),
                message("tool", "seen"),
                message("assistant", "So.", "generate"),
            ],
        ),
        sample("line\u2028break", text="One\u2028two?"),
    ]
    items, left_out, report = read_all(write_log(tmp_path / "log.json", samples))
    prompts = {item.id: item.messages[-1]["content"] for item in items}
    assert prompts == {
        "parts": "Look.\nWhy?",
        "none": "Why?",
        "begun": "Why?",
        "tool": "Why?",
        "line\u2028break": "One\u2028two?",
    }
    assert items[0].body == (6, 10)
    assert next(item for item in items if item.id == "tool").response is None
    assert counts(report.left_out) == {
        "more_than_text": 1,
        "prompt_empty": 1,
    }
    assert [one.where for one in left_out] == ["log.json, sample 2", "log.json, sample 4"]
    assert {"sample_begun", "sample_tools", "sample_no_messages"} <= {one.code for one in report.warnings}


def test_logs_that_do_not_say_who_wrote_a_message(tmp_path):
    shots = [message("user", "1?"), message("assistant", "2")]
    one = sample(1, input=[*shots, message("user", "3?")], messages=[*shots, message("user", "3?"), shots[1], shots[1]])
    one["messages"][3] = message("assistant", "4")
    ((item,), _, _) = read_all(write_log(tmp_path / "log.json", [one]))
    assert [m["content"] for m in item.messages] == ["1?", "2", "3?"]


BOILING = ["Water boils at 100 C", "Water boils at 50 C"]
BOILS = "A) Water boils at 100 C\nB) Water boils at 50 C"
NO = "Read this.\n\nno\n\nReply with yes or no."


@pytest.mark.parametrize(
    ("content", "question", "options", "body", "method"),
    [
        ("Pick.\nWhy?\nA) one\nB) two", "Why?", ["one", "two"], "Why?\nA) one\nB) two", WITH_OPTIONS),
        ("Pick.\nWhy?\nA) one\nB) two", "Why?", ["two", "one"], "Why?", INSIDE),
        ("Pick.\nWhy?", "Otherwise?", None, "Pick.\nWhy?", NOT_INSIDE),
        # Options that repeat the question.
        (
            f"Say:\n\nWater boils at\n\n{BOILS}",
            "Water boils at",
            BOILING,
            f"Water boils at\n\n{BOILS}",
            WITH_OPTIONS,
        ),
        # A short question may also be a word of the instruction.
        (f"Reply with no letter.\n\nno\n\n{BOILS}", "no", BOILING, f"no\n\n{BOILS}", WITH_OPTIONS),
        (NO, "no", None, NO, NOT_INSIDE),
        ("Read:\n\nno\n\nNote it is not a nose.", "no", None, "no", INSIDE),
        (" no ", "no", None, " no ", WHOLE),
    ],
)
def test_the_question_is_located_in_the_last_message(content, question, options, body, method):
    exchange = read_exchange(sample(1, text=question, messages=[message("user", content)], choices=options))
    assert (exchange.asked.prompt, exchange.asked.method) == (body, method)


def test_errors_count_where_the_evaluation_counted_them(tmp_path):
    failed = sample(1, "C", error={"message": "late"})
    assert read_all(write_log(tmp_path / "a.json", [failed]))[0][0].score is None
    counted = write_log(tmp_path / "b.json", [failed], eval={"config": {"score_on_error": True}})
    assert read_all(counted)[0][0].score == 1.0
    invalid = write_log(tmp_path / "c.json", [sample(1, "C", invalidation={"author": "me"})])
    assert read_all(invalid)[0][0].score is None


def test_missing_samples_and_other_figures_give_a_warning(tmp_path):
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 0.5}}}]}
    spec = {"dataset": {"sample_ids": [2, 1, 3]}, "config": {"epochs": 2, "epochs_reducer": ["max"]}}
    made = [sample(1, "C"), sample(1, "C", epoch=2), sample(2, "C"), sample(2, "C", epoch=2)]
    items, left_out, report = read_all(
        write_log(tmp_path / "log.json", [*made, made[0]], status="cancelled", results=results, eval=spec)
    )
    assert [item.id for item in items] == ["2", "1"]
    assert [one.reason.code for one in left_out] == ["sample_again"]
    assert {("log_not_finished", (5, 6)), ("other_reducer", ()), ("other_mean", (0.5, 1.0))} <= codes(report.warnings)


def test_the_newest_successful_log_is_read(tmp_path):
    for name, status, created in (("a", "success", "01"), ("b", "success", "02"), ("c", "error", "03")):
        spec = {"created": f"2026-01-{created}T00:00:00+00:00"}
        write_log(tmp_path / f"{name}.json", [sample(1)], status=status, eval=spec)
    write_log(tmp_path / "d.json", [sample(1)], eval={"task_args": {"level": 2}})
    parts = find_parts(tmp_path)
    assert [part.files[0].name for part in parts] == ["b.json", "d.json"]
    assert {("older_log", ()), ("log_of_status", ())} <= codes(parts[0].notes)
    assert len({part.benchmark for part in parts}) == 2


def test_damaged_files(tmp_path):
    whole = write_log(tmp_path / "whole.json", [sample(1), sample(2)]).read_text()
    cut = tmp_path / "cut.json"
    cut.write_text(whole[: whole.rindex('"scores"')])
    with pytest.raises(UserError, match="not JSON"):
        read_all(cut)
    with cut.open("r+b") as file:
        file.truncate(inspect_ai_files.MAX_BYTES + 1)  # sparse: it takes no room on the disk
    with pytest.raises(UserError, match="inspect log convert"):
        find_parts(cut)
    (tmp_path / "broken.eval").write_bytes(b"PK no zip")
    with pytest.raises(UserError, match="not a complete"):
        find_parts(tmp_path / "broken.eval")
    (part,) = find_parts(tmp_path)
    assert any(one.code == "unreadable_log" and "broken.eval" in one.text for one in part.notes)
    for fresh in ("newer", "bare"):
        (tmp_path / fresh).mkdir()
    with pytest.raises(UserError, match=r"version 4.*pip install --upgrade competency-gaps"):
        find_parts(write_log(tmp_path / "newer" / "log.json", [sample(1)], version=4))
    with pytest.raises(UserError, match="has no samples"):
        read_all(write_log(tmp_path / "bare" / "log.json", None))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, ZSTD])
def test_damaged_samples_cost_one_record_each(tmp_path, compression):
    if compression == ZSTD:
        pytest.importorskip("zipfile_zstd")
    path = tmp_path / "log.eval"
    rng = random.Random(0)
    noise = "".join(rng.choice("abcdefgh ") for _ in range(5000))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("header.json", json.dumps(head()))
        for number in range(5):
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample(number, events=noise)))
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        members = {one.filename: one for one in archive.infolist()}
    for number in (1, 2, 3):
        member = members[f"samples/{number}_epoch_1.json"]
        start = member.header_offset + 30 + len(member.filename)
        entry = raw.index(b"PK\x01\x02")
        while not raw[entry + 46 :].startswith(member.filename.encode()):
            entry = raw.index(b"PK\x01\x02", entry + 4)
        if number == 1:
            raw[start : start + member.compress_size // 2] = b"\xff" * (member.compress_size // 2)
        elif number == 2:
            # The flag of an encrypted member, in its own header and in the list at the end.
            raw[member.header_offset + 6] |= 1
            raw[entry + 8] |= 1
        else:
            raw[entry + 24 : entry + 28] = (inspect_ai_files.MAX_BYTES + 1).to_bytes(4, "little")  # uncompressed size
    path.write_bytes(raw)
    items, left_out, report = read_all(path)
    assert [item.id for item in items] == ["0", "4"]
    error = "error" if compression == zipfile.ZIP_DEFLATED else "ZstdError"
    assert [one.reason for one in left_out] == [
        Reason("sample_lost", f"the sample is lost: {error}"),
        Reason("sample_encrypted", "the sample is lost: it is encrypted"),
        inspect_ai_files.TOO_LARGE,
    ]
    assert report.records == 5
    # A damaged head is reported, too.
    start = members["header.json"].header_offset + 30 + len("header.json")
    raw[start : start + 40] = b"\xff" * 40
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"header\.json is damaged"):
        find_parts(path)


def test_a_sample_at_a_time_is_in_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "log.eval"
    events = ["x" * 1000] * 500
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(head()))
        for i in range(60):
            archive.writestr(f"samples/{i}_epoch_1.json", json.dumps(sample(i, events=events)))
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    tracemalloc.start()
    count = sum(1 for _ in inspect_ai_files.samples(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60
    assert peak < size / 5
