"""The paper's set-ups run from their files to a finished run, on stand-ins of the same architecture and form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from preset_doubles import layer_output, redirected, save_model

from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.pipeline import run as pipeline
from core_helpers import TEXT
from tiny_models import save_tiny_sae

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ROWS = 4
SETUPS = {
    # Hook layer; the stand-in has a block more than that needs. Architecture as SAELens loads the release.
    "llama-3.1-8b-instruct": ("llama", 19, "standard"),
    "gemma-2-2b-it": ("gemma2", 20, "jumprelu"),
    "deepseek-r1-distill-llama-8b": ("r1", 19, "jumprelu"),
}
SCORERS = {
    "agieval": "choice",
    "logicbench": "choice",
    "social_iqa": "choice",
    "winogrande": "choice",
    "gsm8k": "numeric",
    "math": "math",
    "natural_questions": "exact",
    "vectara": "none",
    "bbq": "choice",
    "crows_pairs": "pair",
}


@pytest.fixture(scope="module", params=SETUPS)
def setup(request, tmp_path_factory, tokenizer):
    """Name, configuration and finished run of one set-up, and the folder of its SAE."""
    pytest.importorskip("datasets")
    name = request.param
    kind, layer, architecture = SETUPS[name]
    folder = tmp_path_factory.mktemp(name)
    model = save_model(folder / "model", kind, layer + 2, tokenizer)
    hook, standard = f"blocks.{layer}.hook_resid_post", architecture == "standard"
    sae = save_tiny_sae(folder / "sae", layer_output(model, layer, TEXT)[1:], hook, active=1, standard=standard)
    overrides = redirected(read_yaml(CONFIGS / f"{name}.yaml"), model, sae, folder / "data", ROWS)
    config = parse_config(RunConfig, read_yaml(CONFIGS / f"{name}.yaml", overrides), name)
    with pytest.MonkeyPatch.context() as patch:  # the user's cache knows a data set by its folder's name alone
        patch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
        return name, config, pipeline.run(config, folder / "run"), sae


def test_every_benchmark_is_read_and_scored(setup):
    name, config, run, _ = setup
    items = run.items
    sizes = {one.name: ROWS * max(1, len(one.sources)) for one in config.benchmarks}
    assert dict(items["benchmark"].value_counts().iter_rows()) == sizes
    assert items["excluded"].null_count() == items.height
    expected = {**SCORERS, "natural_questions": "contains"} if "r1" in name else SCORERS
    assert {row["benchmark"]: row["scorer"] for row in items.iter_rows(named=True)} == expected
    scored = items.group_by("benchmark").agg(pl.col("score").is_not_null().all())
    assert {name for name, all_scored in scored.iter_rows() if not all_scored} == {"vectara"}
    # An answer that ends at once is no response where nothing scores it.
    assert set(items.filter(pl.col("response").is_null())["benchmark"]) <= {"vectara"}
    assert items["n_span_tokens"].min() > 0
    assert run.manifest["settings"]["paper"] and run.benchmarks.height == len(SCORERS)
    assert run.concepts["chi_model"].is_not_null().any() and run.concepts["chi_bench"].is_not_null().any()


def test_activations_are_the_layers(setup):
    """CAS of items with a plain prompt: the block's output by transformers, encoded by SAELens, averaged over the span
    (the prompt with its first token). The pipeline batches in bfloat16, hence the tolerance."""
    name, _, run, folder = setup
    layer = SETUPS[name][1]
    assert run.manifest["hook"]["path"] == f"model.layers.{layer}"
    assert run.manifest["gate"]["explained_variance"] > 0
    import torch
    from sae_lens import SAE
    from transformers import AutoTokenizer

    settings = run.manifest["settings"]
    sae = SAE.load_from_disk(folder)
    tokenizer = AutoTokenizer.from_pretrained(settings["model"]["name"])
    for benchmark in ("social_iqa", "bbq"):
        rows = run.items.filter(pl.col("benchmark") == benchmark)
        measured = run.cas(benchmark).toarray()
        for row, item in enumerate(rows.iter_rows(named=True)):
            ids = [tokenizer.bos_token_id, *tokenizer(item["text"])["input_ids"]]
            with torch.inference_mode():
                latents = sae.encode(layer_output(Path(settings["model"]["name"]), layer, ids))
            span = latents[: item["n_span_tokens"]].mean(dim=0).numpy()
            assert len(ids) == item["n_span_tokens"]
            np.testing.assert_allclose(measured[row], span, rtol=0.1, atol=0.05 * span.max())
