"""Tiny random models of real architectures, a trained tokenizer and tiny SAEs, made on the spot."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from competency_gaps.util.errors import MissingExtraError
from core_helpers import TEXT, write_lines
from tiny_models import fit_tiny_sae, tiny_model

SHARED = Path(__file__).resolve().parents[2] / "shared" / "benchmarks"

CHAT_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def answers_elsewhere(tmp_path_factory):
    """Answers of the tests' runs do not go to the user's cache folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        chosen = lambda: Path(os.environ.get("CGAPS_CACHE") or folder)  # noqa: E731
        patch.setattr("competency_gaps.findings.kept.cache_folder", chosen)
        patch.setattr("competency_gaps.pipeline.without_reading.cache_folder", chosen)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_sentence_embeddings():
    """Runs get no slices by sentence embeddings: embedding their texts takes each process most of its time."""

    def missing(*_: object) -> None:
        raise MissingExtraError("onnxruntime", "texts", "Comparing texts by meaning")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("competency_gaps.slices.make.embed_texts", missing)
        patch.setattr("competency_gaps.pipeline.without_reading.embed_texts", missing)
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
    return fit_tiny_sae(tmp_path_factory.mktemp("sae"), model_folder("llama"), "blocks.2.hook_resid_post")


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
        write_lines(folder / f"{name}.jsonl", rows)
    return folder


@pytest.fixture(scope="session")
def tiny_config(model_folder, sae_folder, benchmark_files):
    """A configuration mapping of a whole run on the tiny model."""
    return {
        "model": {"name": str(model_folder("llama")), "dtype": "float32"},
        "sae": {"folder": str(sae_folder), "gate_tokens": 512},
        "benchmarks": [
            {"name": "quiz", "source": _file(benchmark_files / "quiz.jsonl"), "options": {"form": "cloze"}},
            {"name": "sums", "source": _file(benchmark_files / "sums.jsonl"), "scorer": "imported"},
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


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of it in ``tmp_path / "run"`` that may be changed."""
    import competency_gaps

    return competency_gaps.open_run(shutil.copytree(tiny_run.path, tmp_path / "run"))


@pytest.fixture
def cli(monkeypatch, capsys):
    """``cgaps`` in this process, on a screen of 80 columns: exit status, standard output, standard error."""
    from competency_gaps.cli import app as application

    for name in ("LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(application, "_quiet_libraries", lambda console: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cgaps", *arguments])
        with pytest.raises(SystemExit) as leave:
            application.main()
        out, err = capsys.readouterr()
        return int(leave.value.code or 0), out, err

    return call


@pytest.fixture
def asked(monkeypatch):
    """Configurations and folders of the runs that commands ask for, of which none is made."""
    met = []

    def run(config, out, *args, **kwargs):
        met.append((config, out))
        raise RuntimeError

    monkeypatch.setattr("competency_gaps.pipeline.run.run", run)
    return met
