"""The precision of a model follows from what is measured; a resumed run keeps the one that it was begun in."""

from __future__ import annotations

import pytest
import torch

from competency_gaps.checked import write_document
from competency_gaps.config import ModelConfig
from competency_gaps.model import size
from competency_gaps.model.load import chosen_dtype
from competency_gaps.model.size import parameters
from competency_gaps.runs.plan import planned_model
from core_helpers import KINDS, loaded


@pytest.mark.parametrize(("bfloat16", "dtype"), [(3e11, "bfloat16"), (1.1e11, "float32"), (2e9, "float32")])
def test_auto_takes_what_is_measured_faster(monkeypatch, bfloat16, dtype):
    monkeypatch.setattr(size, "_speeds", lambda device, kinds: {"float32": 1e11, "bfloat16": bfloat16})
    assert chosen_dtype("auto", "cpu") == dtype
    assert chosen_dtype("float16", "cpu") == "float16"


def test_a_resumed_run_keeps_its_precision(tmp_path):
    def dtype(folder, asked="auto"):
        return planned_model(ModelConfig(name="m", dtype=asked), folder).dtype

    write_document(tmp_path / "plan.json", {"model": {"dtype": "bfloat16"}})
    assert dtype(tmp_path) == "auto", "nothing was computed, so the folder is free"
    (tmp_path / "gate.json").write_text("{}")
    assert dtype(tmp_path) == "bfloat16" and dtype(tmp_path, "float32") == "float32"
    assert dtype(tmp_path / "nowhere") == "auto" == dtype(None)


@pytest.mark.parametrize("kind", KINDS)
def test_sizes(kind, model_folder):
    """Counted anew from names and shapes: what makes logits, what looks tokens up, and the rest."""
    model = loaded(model_folder(kind)).model
    shapes = {name: p.numel() for name, p in model.named_parameters()}
    looked_up = sum(n for name, n in shapes.items() if "embed_tokens" in name or "wte" in name)
    logits = shapes.get("lm_head.weight", 0)
    body, head = parameters(model)
    assert body == sum(shapes.values()) - looked_up - logits
    assert head == model.config.vocab_size * model.config.hidden_size
    with torch.device("meta"):
        empty = type(model)(model.config)
    assert parameters(empty) == (body, head), "a model without weights is as large"


def test_experts_that_do_not_read_a_token_do_not_count():
    from transformers import MixtralConfig, MixtralForCausalLM

    config = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = {}
    for reading in (1, 4):
        made = MixtralConfig(vocab_size=50, num_local_experts=4, num_experts_per_tok=reading, **config)
        with torch.device("meta"):
            sizes[reading] = parameters(MixtralForCausalLM(made))[0]
    expert = 3 * 16 * 24
    assert sizes[4] - sizes[1] == 2 * 3 * expert, "three experts less in each of two layers"
