"""Logs of lm-eval: real ones that the installed tool writes here, and odd ones by hand."""

from __future__ import annotations

import json
import shutil

import pytest
from log_reading import codes, counts, read, read_by

from competency_gaps.items.item import Counted, Reason
from competency_gaps.logs.find import find_parts
from competency_gaps.util.errors import UserError
from core_helpers import command, loaded, tokens_of_range, write_lines
from log_samples import options, sample

NAME = "samples_task_2026-11-24T10-00-00.000001.jsonl"


@pytest.fixture(scope="session")
def real(tools):
    """Logs with lm-eval's own results: plain with examples, with examples as turns of a chat, and of perplexities."""
    return tools / "lm_eval"


def figure(real, log, task, key):
    """lm-eval's own figure."""
    (file,) = (real / log).rglob("results_*.json")
    return json.loads(file.read_text())["results"][task][key]


def docs(real, name):
    lines = (real / "tasks" / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


@pytest.mark.parametrize("log", ["plain", "chat"])
@pytest.mark.parametrize("metric", ["acc", "acc_norm"])
def test_mean_is_lm_evals_own(real, log, metric):
    found = read(real / log, benchmark="quiz", metric=metric)
    assert found.mean == pytest.approx(figure(real, log, "quiz", f"{metric},none"), abs=1e-12)
    assert found.report.metric == metric
    assert found.report.warnings == ()


def test_the_response_is_the_option_that_the_metric_is_about(real):
    # The score that lm-eval gave is 1 exactly where the option that we call the response is the gold.
    for metric in ("acc", "acc_norm"):
        found = read(real / "plain", benchmark="quiz", metric=metric)
        for item, doc in zip(found.items, docs(real, "quiz"), strict=True):
            assert item.choices == tuple(doc["options"])
            assert item.answer == doc["gold"]
            assert item.score == float(item.response == doc["options"][doc["gold"]])


@pytest.mark.parametrize("log", ["plain", "chat"])
def test_own_text_is_the_rendered_question(real, log):
    found = read(real / log, benchmark="quiz")
    assert found.report.body_text == {"the task's template, rendered": 20}
    for item, doc in zip(found.items, docs(real, "quiz"), strict=True):
        start, end = item.seen.body
        assert item.seen.text[start:end] == item.prompt == f"Question: {doc['q']}\nAnswer:"
        # Nothing but what closes the turn follows, also where an example asks the same.
        assert item.seen.text[end:] == ("" if log == "plain" else "<|end|>\n<|start|>assistant\n")
        assert item.seen.text.count("Question:") == 3
        assert item.group == doc["subject"]


def test_default_metric_is_the_tasks_first_score(real):
    found = read(real / "plain", benchmark="quiz")
    assert found.report.metric == "acc_norm"  # mcc, which stands before it, is a pair per item
    assert found.report.available["metric"] == ("acc_norm", "acc")
    with pytest.raises(UserError, match=r"'mcc' is a list per item.*acc_norm, acc"):
        read(real / "plain", benchmark="quiz", metric="mcc")


def test_two_filters_give_one_item_per_document(real):
    first = read(real / "plain", benchmark="sums")
    assert (first.report.records, first.report.items, first.report.filter) == (40, 20, "strict")
    assert first.report.left_out == (Counted(Reason("other_filter", "answer of another filter ('letter')"), 20),)
    assert first.report.available["filter"] == ("strict", "letter")
    for name in ("strict", "letter"):
        found = read(real / "plain", benchmark="sums", scorer=name)
        assert found.mean == pytest.approx(figure(real, "plain", "sums", f"exact_match,{name}"))
        assert {item.identity["filter"] for item in found.items} == {name}
    with pytest.raises(UserError, match=r"no filter 'strikt'; known: strict, letter. Did you mean 'strict'"):
        read(real / "plain", benchmark="sums", scorer="strikt")


def test_identity_is_lm_evals(real):
    found = read(real / "plain", benchmark="sums")
    (file,) = (real / "plain").rglob("samples_sums_*.jsonl")
    records = [json.loads(line) for line in file.read_bytes().split(b"\n") if line]
    for item, record in zip(found.items, records, strict=False):
        for key in ("doc_id", "filter", "doc_hash", "prompt_hash", "target_hash"):
            assert item.identity[key] == record[key]
        assert (item.id, item.identity["tool"], item.identity["metric"]) == (
            str(record["doc_id"]),
            "lm_eval",
            "exact_match",
        )
        assert item.response == record["resps"][0][0]
        assert item.seen.text == record["arguments"]["gen_args_0"]["arg_0"]


def test_perplexity_is_no_score_but_coverage(real):
    folder = real / "rolling"
    with pytest.raises(UserError, match=r"word_perplexity is better when lower.*'none'.*=PATH"):
        read(folder)
    found = read(folder, metric="none")
    assert found.report.unscored == len(found.items) == 20
    assert found.items[1].seen.text == "The sum of 1 and 7 is 8."


def test_a_run_from_the_log_reads_exactly_the_question(real, model_folder, sae_folder, tmp_path):
    out, model = tmp_path / "run", shutil.copytree(model_folder("llama"), tmp_path / "tiny")
    other = tmp_path / "other__thing"
    write_lines(other / NAME, [sample(i) for i in range(12)])
    logs = ["--log", str(real / "plain"), "--log", f"other={other}"]
    done = command("run", *read_by(model, sae_folder), *logs, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "own text of 40 items: the task's template, rendered" in done.stderr
    # The log that is of this model is not warned of, the other one is.
    said = " ".join(done.stderr.split())
    assert said.count("the log is of the model") == 1
    assert "the model 'other/thing'" in said
    import competency_gaps

    run = competency_gaps.open_run(out)
    items = run.items.filter(run.items["benchmark"] == "quiz")
    tokenizer = loaded(model).tokenizer
    for row, doc in zip(items.iter_rows(named=True), docs(real, "quiz"), strict=True):
        question = f"Question: {doc['q']}\nAnswer:"
        assert row["text"][row["body_start"] : row["body_end"]] == question
        ids = tokenizer(row["text"])["input_ids"]
        assert row["n_tokens"] == len(ids)
        assert (
            row["n_span_tokens"]
            == tokens_of_range(tokenizer, ids, row["text"], row["body_start"], row["body_end"]).sum()
        )
    assert items["score"].mean() == pytest.approx(figure(real, "plain", "quiz", "acc_norm,none"))
    (source,) = run.manifest["benchmarks"][1]["source"]
    assert (source["records"], source["items"], source["filter"]) == (40, 20, "strict")


def test_one_of_several_benchmarks_must_be_named(real):
    with pytest.raises(UserError, match=r"has 2 benchmarks \(quiz, sums\)"):
        read(real / "plain")
    with pytest.raises(UserError, match=r"no benchmark 'quizz'.*Did you mean 'quiz'"):
        read(real / "plain", benchmark="quizz")


def test_a_results_file_gives_the_samples_of_its_time(real):
    (file,) = (real / "plain").rglob("results_*.json")
    assert sorted(part.benchmark for part in find_parts(file)) == ["quiz", "sums"]


def test_equal_names_are_made_unique(real):
    names = [part.benchmark for part in find_parts(real)]
    assert len(set(names)) == len(names) == 4
    assert sum(name.startswith("quiz@") for name in names) == 2  # one model at two times


def test_the_newest_log_of_a_task_is_read(tmp_path):
    write_lines(tmp_path / NAME, [sample(0)])
    newer = write_lines(tmp_path / NAME.replace("11-24", "11-25"), [sample(0), sample(1)])
    (part,) = find_parts(tmp_path)
    assert part.files[0] == newer
    assert ("older_log", ()) in codes(read(tmp_path).report.warnings)


def test_without_results_the_documents_texts_are_the_own_text(tmp_path):
    shots = "Q: How many dogs are there in house 9?\nA: 9\n\n"
    question = "How many foxes are there in house 1?"
    record = sample(1, prompt=f"Count.\n\n{shots}Q: {question}\nA:")
    found = read(write_lines(tmp_path / NAME, [record]))
    assert found.items[0].prompt == question
    assert found.report.body_text == {"the document's texts in the prompt": 1}
    assert [warning.code for warning in found.report.warnings] == ["no_results_file"]


def test_chat_messages(tmp_path):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Q: Two?\nA:"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Q: How many foxes are there in house 0?\nA:"},
    ]
    found = read(write_lines(tmp_path / NAME, [sample(0, prompt=[json.dumps(messages)])]))
    (item,) = found.items
    assert item.seen is None
    assert list(item.messages) == messages
    assert item.messages[-1]["content"][slice(*item.body)] == item.prompt == "How many foxes are there in house 0?"
    assert ("chat_rendered", ()) in codes(found.report.warnings)


def test_options_with_prompts_of_their_own(tmp_path):
    record = options(0, ["The fox saw the fox", "The fox saw the dog"], [" in the city."] * 2, [-5.0, -4.0])
    found = read(write_lines(tmp_path / NAME, [record]))
    assert found.items[0].seen.text == "The fox saw the fox"
    assert found.items[0].choices is None
    assert ("prompts_of_options", ()) in codes(found.report.warnings)


def test_normalisation_of_the_response(tmp_path):
    record = options(0, ["Say something about foxes:"] * 2, [" a", " aaaaaaaaaa"], [-2.0, -5.0], acc_norm=0.0)
    record["metrics"] = ["acc", "acc_norm"]
    file = write_lines(tmp_path / NAME, [record])
    assert read(file, metric="acc").items[0].response == "a"
    assert read(file, metric="acc_norm").items[0].response == "aaaaaaaaaa"


def test_repeats_are_one_item(tmp_path):
    record = sample(0, resps=[["one", "two", "three"]])
    found = read(write_lines(tmp_path / NAME, [record]))
    (item,) = found.items
    assert (item.identity["repeats"], item.response) == (3, "one")
    assert ("asked_repeatedly", (3,)) in codes(found.report.warnings)


def test_nan_and_null_are_unscored_and_kept(tmp_path):
    records = [sample(0, exact_match=float("nan")), sample(1, exact_match=None), sample(2, exact_match=0.0)]
    found = read(write_lines(tmp_path / NAME, records))
    assert [item.score for item in found.items] == [None, None, 0.0]
    assert found.report.unscored == 2
    assert counts(found.report.unscored_because) == {"score_nan": 1, "no_score": 1}


def test_a_cut_off_line_costs_one_record(tmp_path):
    file = write_lines(tmp_path / NAME, [sample(0), sample(1)])
    file.write_bytes(file.read_bytes()[:-200])
    found = read(file)
    assert len(found.items) == 1
    assert found.left_out[0].where.endswith("line 2")
    assert found.left_out[0].reason.code == "line_cut"


def test_a_score_outside_the_unit_interval_is_refused(tmp_path):
    records = [sample(i, metrics=["bleu", "exact_match"], bleu=10.0 * i) for i in range(3)]
    file = write_lines(tmp_path / NAME, records)
    assert read(file).report.metric == "exact_match"
    with pytest.raises(UserError, match=r"'bleu' is 10 in one item, outside \[0, 1\].*exact_match"):
        read(file, metric="bleu")


def test_a_first_token_is_not_added_twice(tmp_path):
    for text, own in (("<|bos|><|start|>user\n", True), ("<s>[INST] ", True), ("", False), ("<b>Bold</b> ", False)):
        record = sample(0, prompt=f"{text}How many foxes are there in house 0?")
        (item,) = read(write_lines(tmp_path / NAME, [record])).items
        assert item.seen.templated is own


def test_one_bad_file_does_not_hide_the_others(tmp_path):
    write_lines(tmp_path / "x.hitlog.jsonl", [{"a": 1}])
    with pytest.raises(UserError, match="hit log"):
        find_parts(tmp_path)
    write_lines(tmp_path / NAME, [sample(0), sample(1)])
    (part,) = find_parts(tmp_path)
    assert part.format == "lm_eval"
    assert any(note.code == "unreadable_log" and "hit log" in note.text for note in part.notes)


def test_a_results_file_that_was_cut_off_is_an_error(tmp_path):
    write_lines(tmp_path / "samples_quiz_2026-11-24T10-00-00.jsonl", [{"doc_id": 0, "doc": {"q": "Why?"}}])
    (tmp_path / "results_2026-11-24T10-00-00.json").write_text('{"results": {"quiz": ')
    with pytest.raises(UserError, match=r"results_2026-11-24T10-00-00\.json is not JSON"):
        find_parts(tmp_path)


def test_results_without_samples(tmp_path):
    (tmp_path / "results_2026-11-24T10-00-00.json").write_text(json.dumps({"results": {"a": {}}, "configs": {"a": {}}}))
    with pytest.raises(UserError, match=r"no samples.*--log_samples"):
        find_parts(tmp_path)
    with pytest.raises(UserError, match="has no readable log"):
        find_parts(tmp_path, "garak")


def test_hostile_text_does_not_reach_the_terminal(tmp_path):
    text = "How many foxes \x1b[31mare there\x1b]0;title\x07 \u202e in [bold]house[/bold] 0?"
    done = command("logs", str(write_lines(tmp_path / NAME, [sample(0, text)])))
    assert done.returncode == 0, done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert "[bold]house[/bold]" in done.stdout
