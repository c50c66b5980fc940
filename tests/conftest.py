"""Tiny random models of real architectures, a trained tokenizer and tiny SAEs, made on the spot."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core_helpers import TEXT

SHARED = Path(__file__).resolve().parents[2] / "shared" / "benchmarks"

CHAT_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
WIDTH, LATENTS, LAYERS = 32, 64, 4


def pytest_terminal_summary(terminalreporter):
    """Say how many seconds the tests of each directory took, set-up included and over all processes."""
    seconds: Counter[str] = Counter()
    for report in (one for kind in terminalreporter.stats.values() for one in kind if hasattr(one, "duration")):
        seconds[report.nodeid.partition("::")[0].removeprefix("tests/").partition("/")[0]] += report.duration
    shown = ", ".join(f"{name} {took:.0f}" for name, took in seconds.most_common() if took >= 1)
    terminalreporter.write_line(f"seconds per directory, {seconds.total():.0f} in all: {shown}")


@pytest.fixture(scope="session", autouse=True)
def outcomes_elsewhere(tmp_path_factory):
    """Outcomes of the tests' runs do not go to the user's cache folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        chosen = lambda: Path(os.environ.get("CGAPS_CACHE") or folder)  # noqa: E731
        patch.setattr("competency_gaps.stages.outcomes.cache_folder", chosen)
        patch.setattr("competency_gaps.findings.kept.cache_folder", chosen)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_sentence_embeddings():
    """Runs get no slices by sentence embeddings: loading the packaged model costs each process most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("competency_gaps.slices.make.has_default_model", lambda: False)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the shared benchmarks."""
    if not SHARED.is_dir():
        pytest.skip("the shared benchmarks do not lie beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE tokenizer with special tokens and a chat template that trims messages."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|eos|>", "<|start|>", "<|end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEXT] * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|bos|>",
        eos_token="<|eos|>",
        additional_special_tokens=["<|start|>", "<|end|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=256,
    )


def tiny_model(kind: str, vocabulary: int):
    """A random model of a real architecture: 4 layers, 32 wide."""
    import torch
    import transformers as tf

    torch.manual_seed(0)
    common = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
        "tie_word_embeddings": True,
    }
    configs = {
        "llama": lambda: tf.LlamaConfig(**common),
        "qwen2": lambda: tf.Qwen2Config(**common),
        "gemma2": lambda: tf.Gemma2Config(**common, sliding_window=16, query_pre_attn_scalar=8),
        "gpt2": lambda: tf.GPT2Config(
            vocab_size=vocabulary,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=4,
            n_positions=256,
            bos_token_id=0,
            eos_token_id=1,
        ),
    }
    model = tf.AutoModelForCausalLM.from_config(configs[kind]())
    # Random weights are so small that every next token is about equally likely; larger ones make choices differ.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return model.eval()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer):
    """Folder of a saved tiny model, by architecture."""
    made: dict[str, Path] = {}

    def make(kind: str = "llama") -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            tiny_model(kind, len(tokenizer)).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[kind] = folder
        return made[kind]

    return make


@pytest.fixture(scope="session")
def sae_folder(tmp_path_factory, model_folder):
    """Folder of a tiny SAE for the tiny Llama, tuned to its activations so that the gate lets it pass."""
    folder = tmp_path_factory.mktemp("sae")
    return fit_tiny_sae(folder, model_folder("llama"), "blocks.2.hook_resid_post")


def fit_tiny_sae(folder: Path, model: Path, hook: str, d_sae: int = LATENTS) -> Path:
    """An SAE whose latents are the principal axes of real activations, both ways, few of them active per token."""
    import torch
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    from competency_gaps.config import ModelConfig
    from competency_gaps.model.forward import read_hook
    from competency_gaps.model.hooks import resolve_hook
    from competency_gaps.model.load import load_model

    lm = load_model(ModelConfig(name=str(model), dtype="float32"))
    ids = np.asarray(lm.tokenizer(TEXT)["input_ids"], np.int32)
    x = read_hook(lm, resolve_hook(lm.model, hook), [ids])[0].float()
    mean = x.mean(dim=0)
    axes = torch.linalg.svd(x - mean, full_matrices=False).Vh
    directions = torch.cat([axes, -axes])[:d_sae]
    scores = (x - mean) @ directions.T
    threshold = float(scores.flatten().kthvalue(int(scores.numel() * (1 - 1.5 / d_sae))).values)
    cfg = JumpReLUSAEConfig(
        d_in=x.shape[1],
        d_sae=d_sae,
        metadata=SAEMetadata(hook_name=hook, model_name="tiny", prepend_bos=True),
    )
    sae = JumpReLUSAE(cfg)
    with torch.no_grad():
        sae.W_enc.copy_(directions.T)
        sae.W_dec.copy_(directions)
        sae.b_dec.copy_(mean)
        sae.b_enc.zero_()
        sae.threshold.fill_(threshold)
    sae.save_model(folder)
    return folder


@pytest.fixture(scope="session")
def benchmark_files(tmp_path_factory):
    """Two small benchmarks in JSONL: a multiple-choice one and an imported one with an unscored item."""
    folder = tmp_path_factory.mktemp("benchmarks")
    words = ["fox", "dog", "city", "France", "March", "Paris", "sum", "word"]
    rng = np.random.default_rng(0)
    choice = [
        {
            "id": f"c{i}",
            "prompt": f"What is the {words[i % 8]} of {words[(i * 3 + 1) % 8]}? It is number {i}.",
            "choices": [words[(i + k) % 8] for k in range(4)],
            "answer": int(rng.integers(4)),
            "metric": "choice",
            "group": "even" if i % 2 == 0 else "odd",
        }
        for i in range(40)
    ]
    imported = [
        {
            "id": f"i{i}",
            "prompt": f"Compute the sum of {i} and {i * 7 % 10}." + " How many days are there?" * (i % 5),
            "score": None if i == 3 else float(i % 3) / 2,
        }
        for i in range(30)
    ]
    for name, rows in (("quiz", choice), ("sums", imported)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="session")
def tiny_config(model_folder, sae_folder, benchmark_files):
    """A configuration mapping of a whole run on the tiny model."""
    return {
        "model": {"name": str(model_folder("llama")), "dtype": "float32"},
        "sae": {"folder": str(sae_folder), "gate_tokens": 512},
        "benchmarks": [
            {"name": "quiz", "source": _file(benchmark_files / "quiz.jsonl"), "options": {"form": "cloze"}},
            {"name": "sums", "source": _file(benchmark_files / "sums.jsonl"), "policy": "imported"},
        ],
        "batch_tokens": 256,
    }


def _file(path: Path) -> dict[str, str]:
    return {"kind": "file", "path": str(path)}


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_config):
    """A finished run on the tiny model."""
    import competency_gaps

    return competency_gaps.run(tiny_config, tmp_path_factory.mktemp("runs") / "tiny")
