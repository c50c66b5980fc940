"""A classifier of support: labels, windows, sentences, and a tiny random model against transformers itself."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest

import competency_gaps
from competency_gaps.errors import UserError
from competency_gaps.judging.entailment import Entailment, NotMeasurable, sentences, support, supporting_label, windows


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory, tokenizer):
    """A random BERT for pairs, as such models lie on the hub; its tokenizer pads and reads 64 tokens."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("nli")
    torch.manual_seed(0)
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8.0)
    model.save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, pad_token="<|eos|>", model_max_length=64
    )
    fast.save_pretrained(folder)
    return folder


def test_windows_cover_all_and_overlap_by_half() -> None:
    for length in (0, 5, 10, 11, 25, 99):
        found = windows(length, 10)
        assert found[0][0] == 0 and found[-1][1] == length and all(b - a <= 10 for a, b in found)
        assert all(later[0] <= earlier[1] - 5 for earlier, later in itertools.pairwise(found))


def test_sentences_are_cut_at_ends_and_lines() -> None:
    text = 'Dr. No came at 3.5 p.m. and left. "Really?" she asked.\n- A list.\n\n* Another one'
    assert sentences(text)[-3:] == ['"Really?" she asked.', "- A list.", "* Another one"]
    assert sentences(" \n . \n") == []


def test_the_label_of_support() -> None:
    assert supporting_label({0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}, None) == 2
    assert supporting_label({0: "hallucinated", 1: "consistent"}, None) == 1
    assert supporting_label({0: "LABEL_0"}, None) is None
    assert supporting_label({0: "not_entailment", 1: "entailment"}, None) == 1
    with pytest.raises(UserError, match="Name it with the option 'label'"):
        supporting_label({0: "LABEL_0", 1: "LABEL_1"}, None)
    assert supporting_label({0: "LABEL_0", 1: "LABEL_1"}, "label_1") == 1
    with pytest.raises(UserError, match="no label 'entail'"):
        supporting_label({0: "entailment", 1: "neutral"}, "entail")


def test_probabilities_are_those_of_transformers(classifier_folder) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = Entailment(str(classifier_folder)).probabilities("The fox is quick.", ["A dog.", "The fox is quick."])
    tokenizer = AutoTokenizer.from_pretrained(classifier_folder)
    model = AutoModelForSequenceClassification.from_pretrained(classifier_folder).eval()
    for statement, values in zip(["A dog.", "The fox is quick."], found, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer("The fox is quick.", statement, return_tensors="pt")).logits[0]
        assert values == pytest.approx([float(logits.softmax(-1)[1])], abs=1e-5)


def test_a_long_source_is_read_in_windows_and_a_long_statement_is_refused(classifier_folder) -> None:
    classifier = Entailment(str(classifier_folder))
    (values,) = classifier.probabilities("The quick brown fox jumps over the lazy dog. " * 12, ["Paris."])
    assert len(values) > 2 and len(set(np.round(values, 6))) > 1
    assert support([values, [0.5]]) == pytest.approx((max(values) + 0.5) / 2)
    with pytest.raises(NotMeasurable, match="leaves no room"):
        classifier.probabilities("The fox.", ["The quick brown fox jumps over the lazy dog. " * 8])


def test_a_classifier_that_gives_no_number_measures_nothing(classifier_folder) -> None:
    import torch

    classifier = Entailment(str(classifier_folder))
    with torch.no_grad():
        next(classifier.model.parameters()).fill_(float("nan"))
    with pytest.raises(NotMeasurable, match="not finite"):
        classifier.probabilities("The fox.", ["A dog."])


def test_a_name_that_is_no_classifier(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        Entailment(str(tmp_path))


def test_another_tokenizer_is_another_classifier(classifier_folder, tmp_path, monkeypatch) -> None:
    """Kept results belong to all files of the folder; and windows need a tokenizer that gives offsets."""
    from transformers import PreTrainedTokenizerFast

    copy = tmp_path / "copy"
    shutil.copytree(classifier_folder, copy)
    before = Entailment(str(copy)).identity
    assert Entailment(str(copy)).identity == before
    path = copy / "tokenizer_config.json"
    path.write_text(path.read_text() + "\n")
    assert Entailment(str(copy)).identity != before
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", property(lambda self: False))
    with pytest.raises(UserError, match="fast tokenizer"):
        Entailment(str(copy))


def test_a_run_with_a_classifier(tiny_config, classifier_folder, tmp_path) -> None:
    rows = [
        {"id": f"v{i}", "prompt": f"Summarise. The fox number {i} is quick.", "response": "It is. A dog."}
        for i in range(6)
    ]
    rows[2]["response"] = " "
    path = tmp_path / "v.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"model": str(classifier_folder), "source_pattern": r"Summarise\. (.*)"}
    benchmark = {"name": "v", "source": {"kind": "file", "path": str(path)}, "policy": "faithful", "options": options}
    config = {**tiny_config, "benchmarks": [benchmark, tiny_config["benchmarks"][1]]}
    run = competency_gaps.run(config, tmp_path / "run")
    items = run.items.filter(run.items["benchmark"] == "v")
    classifier = Entailment(str(classifier_folder))
    for i, row in enumerate(items.iter_rows(named=True)):
        if i == 2:
            assert row["score"] is None and row["unscored"]["code"] == "response_empty"
            continue
        values = classifier.probabilities(f"The fox number {i} is quick.", ["It is.", "A dog."])
        assert row["score"] == pytest.approx(support(values), abs=1e-5)
    assert run.manifest["benchmarks"][0]["figures"]["faithful"]["items"] == 5
    kept = (tmp_path / "run" / "judging" / "classified.jsonl").read_text().splitlines()
    assert len(kept) == 5
    again = competency_gaps.run(config, tmp_path / "run")
    assert again.items.equals(run.items, null_equal=True)
    assert (tmp_path / "run" / "judging" / "classified.jsonl").read_text().splitlines() == kept
