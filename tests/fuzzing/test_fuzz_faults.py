"""Content that once ended in another error than one of this package's."""

from __future__ import annotations

import json
import struct
import tracemalloc

import polars as pl
import pytest
from fuzz_readers import read_log
from fuzz_samples import LATENTS, LOGS, REFERENCE, autodetect, garak_rows, lines, part, saes
from garak_log_helpers import attempt
from inspect_log_helpers import sample, write_log
from log_reading import sample as sample_of_lm_eval

from competency_gaps.checked import parse_document, with_checksum
from competency_gaps.config import BenchmarkConfig, SAEConfig
from competency_gaps.config.load import read_yaml
from competency_gaps.errors import MESSAGE_LIMIT, UserError
from competency_gaps.logs.find import find_parts
from competency_gaps.logs.lm_eval_document import _requests
from competency_gaps.logs.scores import read_score_log, read_score_table
from competency_gaps.matching import read_taxonomy
from competency_gaps.sae.load import load_sae, read_sae_header
from competency_gaps.sae.reference import read_reference
from competency_gaps.stages.load import load_benchmark
from competency_gaps.stages.merge import join, lay

HUGE = 10**400
"""A whole number in JSON that no float holds."""


def loaded(path, **source):
    (part,) = find_parts(path)
    kind = {"kind": "log", "path": str(path), "format": part.format, **source}
    return load_benchmark(BenchmarkConfig(name="x", source=kind))


def topk_with(folder, key, *value):
    """An SAE whose setting has another value; without one, it has not that setting."""
    _, topk = saes(folder)
    file = topk / "cfg.json"
    content = {name: held for name, held in json.loads(file.read_text()).items() if name != key}
    file.write_text(json.dumps({**content, key: value[0]} if value else content))
    return topk


NO_NUMBERS = {
    "k": ["2", 2.0, [2], {}, True, None, 0, 10**6, HUGE],
    "d_sae": [float("inf"), 0],
    "d_in": [-1, "8"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in NO_NUMBERS.items() for value in values])
def test_numbers_of_an_sae_that_are_none(tmp_path, key, value):
    topk = topk_with(tmp_path, key, value)
    for read in (read_sae_header, lambda config: load_sae(config, "cpu")):
        with pytest.raises(UserError, match=rf"cfg\.json gives {key} = .*Expected a number above 0"):
            read(SAEConfig(folder=topk))


@pytest.mark.parametrize(
    ("key", "value"),
    [("apply_b_dec_to_input", "6.54.12"), ("apply_b_dec_to_input", HUGE), ("rescale_acts_by_decoder_norm", {"a": 1})]
    + [(key, value) for key in ("dtype", "normalize_activations", "architecture") for value in (3, None, ["none"])],
)
def test_settings_of_an_sae_that_are_of_another_kind(tmp_path, key, value):
    topk = topk_with(tmp_path, key, value)
    for read in (read_sae_header, lambda config: load_sae(config, "cpu")):
        with pytest.raises(UserError, match=rf"cfg\.json gives {key} = .*Expected (true or false|a word)"):
            read(SAEConfig(folder=topk))


def test_an_sae_that_does_not_say_how_many_latents_it_keeps(tmp_path):
    topk = topk_with(tmp_path, "k")
    with pytest.raises(UserError, match=r"cfg\.json gives k = 100\. Expected a number above 0"):
        load_sae(SAEConfig(folder=topk), "cpu")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("density", b"\xff", "column 'density' of type .*expected numbers"),
        ("density", "0.5", "column 'density' of type .*expected numbers"),
        ("concept", b"\xff", "column 'concept' of type .*expected numbers"),
        ("concept", 1, "each latent from 0 to .* once"),
        ("concept", None, "column 'concept' of type|each latent"),
        ("token", b"\xff", "column 'token' of type .*expected texts"),
        ("density", float("nan"), "expected a finite number for each latent in 'density'"),
        ("density", None, "column 'density' of type|expected a finite number for each latent in 'density'"),
        ("mean", float("inf"), "expected a finite number for each latent in 'mean'"),
        ("stability", float("-inf"), "expected finite numbers, or null, for each latent in 'stability'"),
    ],
)
def test_a_reference_whose_column_is_odd(tmp_path, column, value, says):
    plain, _ = saes(tmp_path)
    file = plain / REFERENCE
    table = pl.read_parquet(file)
    table.with_columns(pl.Series(column, [value] * table.height)).write_parquet(file)
    with pytest.raises(UserError, match=rf"{REFERENCE}.*({says})"):
        read_reference(file, LATENTS)


def test_numbers_beyond_floats_are_no_scores(tmp_path):
    rows = [sample_of_lm_eval(0), sample_of_lm_eval(1, exact_match=HUGE, resps=[[[HUGE, "False"]]])]
    log = lines(tmp_path / "samples_sums_2026-11-24T10-00-00.000001.jsonl", rows)
    with pytest.raises(UserError, match="outside"):
        loaded(log)
    assert [item.score for item in loaded(log, metric="none").items] == [None, None]
    report = lines(tmp_path / "x.report.jsonl", [*garak_rows(), attempt("w", {"a": [HUGE, 0]}, seq=2)])
    assert len(loaded(report).items) == 3
    file = lines(tmp_path / "a.jsonl", [{"prompt": "x", "score": HUGE}])
    with pytest.raises(UserError, match="is not a number"):
        load_benchmark(BenchmarkConfig(name="x", source={"kind": "file", "path": str(file)}, policy="imported"))
    autodetect(tmp_path / "points")
    (log,) = (tmp_path / "points").rglob("log.json")
    log.write_text(log.read_text().replace('"score": 7', f'"score": {HUGE}'))
    assert all(entry.score is None or entry.score == 1 for entry in read_taxonomy(log).entries)


def test_a_tool_s_own_figure_beyond_floats_is_none(tmp_path):
    LOGS["lm_eval"](tmp_path)
    (file,) = tmp_path.rglob("results_*.json")
    content = json.loads(file.read_text())
    for figures in content["results"].values():
        figures |= {key: HUGE for key, value in figures.items() if isinstance(value, float)}
    file.write_text(json.dumps(content))
    read_log(file.parent)


@pytest.mark.parametrize("content", [b"a: \xff", b"[" * 50_000, b"a: 2026-99-99", b"a: " + b"9" * 5000])
def test_a_configuration_that_is_no_yaml(tmp_path, content):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not valid YAML"):
        read_yaml(path)


def test_a_message_does_not_repeat_a_whole_file(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("id,m\na," + "x" * 50_000 + "\n")
    with pytest.raises(UserError, match="is no number") as raised:
        list(read_score_table(path))
    assert len(str(raised.value)) < MESSAGE_LIMIT + 50


def test_a_key_of_thousands_of_digits_is_no_number():
    """Python refuses to read such a number."""
    read = _requests({"gen_args_" + "9" * 5000: {"arg_" + "8" * 5000: "late", "arg_0": "early"}})
    assert sorted(read[0]) == ["early", "late"]


def test_a_models_name_that_is_no_text_is_none(tmp_path):
    log = write_log(tmp_path / "log.json", [sample(1)], eval={"model": ["a", "b"], "created": 3})
    (part,) = find_parts(log)
    assert (part.model, part.stamp) == (None, None)
    with pytest.raises(UserError, match="model"):
        list(read_score_log(log))


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    autodetect(tmp_path / "points")
    (log,) = (tmp_path / "points").rglob("log.json")
    log.unlink()
    log.mkdir()
    with pytest.raises(UserError, match=r"log\.json"):
        read_taxonomy(tmp_path / "points")


def test_a_lone_surrogate_can_be_asked_for(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text('- {id: a, description: "x", "k\\ud800": "\\ud800"}\n- {id: b, description: y}\n')
    assert [entry.id for entry in read_taxonomy(path, where="id = 'a'").entries] == ["a"]


def test_half_a_surrogate_pair_in_a_document_is_refused(tmp_path):
    """It could be read, and not be written again, as into the plan of a merged run."""
    (made,) = part(tmp_path)
    plan = json.loads((made / "plan.json").read_text())
    plan["config"]["span"] = "\ud800"
    (made / "plan.json").write_text(json.dumps(with_checksum(plan)))
    with pytest.raises(UserError, match=r"plan\.json .*surrogates not allowed"):
        lay(join([made]), [made], tmp_path / "joined")
    assert parse_document(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_a_member_of_a_zip_takes_no_memory_by_the_size_that_it_declares(tmp_path):
    _, log, _ = LOGS["inspect"](tmp_path)
    name, content = b"samples/p_epoch_1.json", bytearray(log.read_bytes())
    entry = content.rindex(b"PK\1\2", 0, content.rindex(name))  # in the directory at the end of the file
    content[entry + 20 : entry + 24] = struct.pack("<I", 2**31 - 1)
    log.write_bytes(content)
    (part,) = find_parts(log)
    tracemalloc.start()
    try:
        read_log(log)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000_000
    assert part.format == "inspect"
    kept = loaded(log)
    assert [item.id for item in kept.items] == ["q"]
    assert [(out.where, out.reason.code) for out in kept.left_out] == [
        ("log.eval, samples/p_epoch_1.json", "sample_lost")
    ]


@pytest.mark.parametrize("passed", [3, 10**9, -1, HUGE])
def test_more_passes_in_a_report_of_garak_than_it_judged(tmp_path, passed):
    rows = garak_rows()[2:]  # without the threshold, which is found by the passes then
    more = {"passed": passed, "total_evaluated": 4}
    changed = [{**row, **more} if row["entry_type"] == "eval" else row for row in rows]
    report = lines(tmp_path / "x.report.jsonl", changed)
    assert loaded(report).items
    read_log(report)
