"""Stand-ins for what the ready configurations name: tiny random models of the same architectures, SAEs of the same
kind at the same hook, and data sets with the columns, configurations and splits that the configurations ask for.

Nothing of a configuration changes but names and places.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from tiny_models import tiny_model

CONTEXT = 16384

TEMPLATES = {
    # The forms of the models' own templates: a first token, headers, Gemma's refusal of a system message, and the
    # reasoning model's opened thinking.
    "llama": "<|bos|>{% for m in messages %}<|start|>{{ m['role'] }}\n\n{{ m['content'] | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n\n{% endif %}",
    "gemma2": "<|bos|>{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}<|start|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|start|>model\n{% endif %}",
    "r1": "<|bos|>{% for m in messages %}<|start|>{{ m['role'] }}{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<think>\n{% endif %}",
}


def save_model(folder: Path, kind: str, layers: int, tokenizer: Any) -> Path:
    """A random model; most of its vocabulary ends an answer, so that answers are short whatever their limit."""
    model = tiny_model("gemma2" if kind == "gemma2" else "llama", len(tokenizer), layers, CONTEXT)
    model.generation_config.eos_token_id = [i for i in range(1, len(tokenizer)) if i % 4]
    model.save_pretrained(folder)
    own = deepcopy(tokenizer)
    own.chat_template = TEMPLATES[kind]
    own.model_max_length = CONTEXT
    own.save_pretrained(folder)
    return folder


def layer_output(model: Path, layer: int, text: str | list[int]) -> Any:
    """The output of a block for each token, by transformers alone; float32 of shape (tokens, width)."""
    import torch
    import transformers as tf

    loaded = tf.AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()
    ids = [0, *tf.AutoTokenizer.from_pretrained(model)(text)["input_ids"]] if isinstance(text, str) else text
    with torch.inference_mode():
        states = loaded(torch.tensor([ids]), output_hidden_states=True).hidden_states
    # The first state is the embedding, so a block's output is the one after it.
    return states[layer + 1][0].float()


def _agieval(i: int) -> dict[str, Any]:
    choices = [f"(A) {i}", f"(B) {i + 1}", "(C) none"]
    query = f"Q: What is {i} plus 0? Answer Choices: {' '.join(choices)}\nA: Among A through C, the answer is"
    return {"query": query, "choices": choices, "gold": [i % 3]}


def _logicbench(i: int) -> dict[str, Any]:
    choices = {f"choice_{k}": f"It is {word}." for k, word in enumerate(("true", "false", "open", "both"), start=1)}
    context = f"If it rains {i} days, the city floods."
    return {"context": context, "question": "What follows?", "choices": choices, "answer": f"choice_{1 + i % 4}"}


def _nq(i: int) -> dict[str, Any]:
    return {"question": f"who came to paris in march {1900 + i}", "answer": ["the king", f"king {i}"]}


def _crows(i: int) -> dict[str, Any]:
    more, less = (f"The {who} number {i} was loud." for who in ("fox", "dog"))
    return {"sent_more": more, "sent_less": less, "bias_type": ("age", "gender")[i % 2]}


def _winogrande(i: int) -> dict[str, Any]:
    sentence = f"The fox saw dog {i} because _ was late."
    return {"sentence": sentence, "option1": "the fox", "option2": "the dog", "answer": str(1 + i % 2)}


def _siqa(i: int) -> dict[str, Any]:
    answers = {f"answer{name}": f"{word} number {i}" for name, word in zip("ABC", ("go", "stay", "sing"), strict=True)}
    question = f"What will she do on day {i}?"
    return {"context": "Anna lost her keys.", "question": question, **answers, "label": str(1 + i % 3)}


def _bbq(i: int) -> dict[str, Any]:
    kinds = {"category": ("Age", "Religion")[i % 2], "context_condition": ("ambig", "disambig")[i % 2]}
    answers = {"ans0": "the grandson", "ans1": "the grandfather", "ans2": "cannot be said"}
    return {"context": f"Two people met on day {i}.", "question": "Who was slow?", **answers, "label": i % 3, **kinds}


def _gsm8k(i: int) -> dict[str, Any]:
    return {"question": f"Anna has {i} keys and finds 2. How many?", "answer": f"{i} + 2\n#### {i + 2}"}


def _math(i: int) -> dict[str, Any]:
    names = {"unique_id": f"t/{i}.json", "subject": "Algebra"}
    return {"problem": f"Find $x + {i} = 4$.", "answer": str(4 - i), **names}


def _vectara(i: int) -> dict[str, Any]:
    return {"source": f"The city had {i} foxes. They left in March.", "summary": "Foxes."}


ROWS = {
    "hails/agieval-": _agieval,
    "cogint/LogicBench-v1.0": _logicbench,
    "lighteval/siqa": _siqa,
    "allenai/winogrande": _winogrande,
    "openai/gsm8k": _gsm8k,
    "HuggingFaceH4/MATH-500": _math,
    "google-research-datasets/nq_open": _nq,
    "vectara/leaderboard_results": _vectara,
    "oskarvanderwal/bbq": _bbq,
    "jannalu/crows_pairs_multilingual": _crows,
}
"""Beginning of a data set's id -> its row number i, in the columns of the hub."""


def save_dataset(folder: Path, source: dict[str, Any], rows: int) -> Path:
    """A folder in the form of a hub data set, with the configuration and the split that a source asks for."""
    make = next(make for name, make in ROWS.items() if source["path"].startswith(name))
    made = [make(i) for i in range(rows)]
    folder.mkdir(parents=True)
    field = (source.get("arguments") or {}).get("field")
    text = json.dumps({field: made}) if field else "".join(json.dumps(row) + "\n" for row in made)
    (folder / "data.json").write_text(text)
    config = source.get("name") or "default"
    files = f"  data_files:\n  - split: {source['split']}\n    path: data.json\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n{files}---\n")
    return folder


def redirected(preset: dict[str, Any], model: Path, sae: Path, folder: Path, rows: int) -> list[str]:
    """The overrides that put the stand-ins in the places of a configuration's names."""
    overrides = [f"model.name={model}", "sae.release=null", "sae.id=null", f"sae.folder={sae}"]
    for number, benchmark in enumerate(preset["benchmarks"]):
        parts = {f"sources.{part}": source for part, source in enumerate(benchmark.get("sources", ()))}
        places = parts or {"source": benchmark["source"]}
        for place, source in places.items():
            path = save_dataset(folder / f"{number}-{place}", source, rows)
            overrides.append(f"benchmarks.{number}.{place}.path={path}")
    return overrides
