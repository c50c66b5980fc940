"""Small logs of other tools, by hand: records of lm-eval and Inspect, reports of garak, and files of further tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core_helpers import write_lines

PROBES = ("dan.Dan_11_0", "dan.DUDE", "dan.AntiDAN", "dan.STAN", "goodside.ThreatenJSON", "lmrc.SlurUsage", "test.Test")
"""What garak's report asked."""


def sample(number: int, question: str | None = None, *, prompt: Any = None, **changes: Any) -> dict[str, Any]:
    """A record of a generated answer as lm-eval writes it, with a test's changes; the prompt is the question alone."""
    question = question or f"How many foxes are there in house {number}?"
    record = {
        "doc_id": number,
        "doc": {"question": question, "answer": str(number)},
        "target": str(number),
        "arguments": {"gen_args_0": {"arg_0": question if prompt is None else prompt, "arg_1": {"until": []}}},
        "resps": [[f"There are {number}."]],
        "filtered_resps": [str(number)],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": float(number % 2),
    }
    return {**record, **changes}


def options(number: int, contexts: list[str], texts: list[str], likelihoods: list[float], **changes: Any) -> dict:
    """A record of a multiple choice."""
    pairs = zip(contexts, texts, strict=True)
    return sample(
        number,
        arguments={f"gen_args_{i}": {"arg_0": a, "arg_1": b} for i, (a, b) in enumerate(pairs)},
        resps=[[[str(value), "False"]] for value in likelihoods],
        filtered_resps=[[str(value), "False"] for value in likelihoods],
        **{"metrics": ["acc"], "acc": 1.0, "target": "0", **changes},
    )


def message(role: str, content: Any, source: str | None = None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "source": source, **more}


def inspect_sample(id: Any, value: Any = "C", *, text: str = "Why?", epoch: int = 1, **more: Any) -> dict[str, Any]:
    """A sample that was asked and answered once."""
    made = {
        "id": id,
        "epoch": epoch,
        "input": text,
        "target": "because",
        "messages": [message("user", text, "input"), message("assistant", "So.", "generate")],
        "output": {"choices": [{"message": message("assistant", "So.")}], "completion": "So."},
        "scores": {"match": {"value": value}},
    }
    return {**made, **more}


def head(task: str = "quiz", **more: Any) -> dict[str, Any]:
    """The head of a log, without samples."""
    spec = {"task": task, "model": "maker/name", "created": "2026-01-01T00:00:00+00:00", "config": {}, "dataset": {}}
    return {"version": 2, "status": "success", "eval": {**spec, **more.pop("eval", {})}, **more}


def write_log(path: Path, samples: list[dict[str, Any]] | None, **more: Any) -> Path:
    """A ``.json`` log, with NaN as Inspect writes it."""
    return document(path, {**head(**more), "samples": samples})


def entries(path: Path, kind: str) -> list[dict[str, Any]]:
    """Entries of one type, parsed without the reader."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [value for line in lines if line and (value := json.loads(line))["entry_type"] == kind]


def attempt(uuid: str, scores: Any, *, probe: str = "dan.DUDE", seq: int = 0, text: str = "Do it.", **more: Any):
    made = {
        "entry_type": "attempt",
        "uuid": uuid,
        "seq": seq,
        "status": 2,
        "probe_classname": probe,
        "prompt": {"turns": [{"role": "user", "content": {"text": text}}]},
        "outputs": [{"text": "Sure."}],
        "detector_results": scores,
        "goal": "get it done",
    }
    return {**made, **more}


def write_report(path: Path, *attempts: dict[str, Any], end: bool = True, **setup: Any) -> Path:
    """A report with its first and last entry; setup keys have ``__`` for the dot."""
    start = {"plugins.target_name": "maker/name", "transient.starttime_iso": "2026-01-01T00:00:00"}
    start |= {key.replace("__", "."): value for key, value in setup.items()}
    rows = [{"entry_type": "start_run setup", **start}, *attempts, *([{"entry_type": "completion"}] if end else [])]
    return write_lines(path, rows)


def mmlu_pro(number: int, pred: str | None, output: str, **changes: Any) -> dict[str, Any]:
    """A record whose key is B."""
    texts = {"question_id": number, "question": f"Which is number {number}?", "options": ["one", "two", "three"]}
    key = {"answer": "B", "answer_index": 1, "cot_content": "", "category": f"part {number % 2}", "src": "s"}
    return {**texts, **key, "pred": pred, "generated_text": output, **changes}


def zeroeval(number: int, output: str, answer: str = "# 18", **changes: Any) -> dict[str, Any]:
    """A record of GSM8K."""
    question = f"How many eggs are sold in week {number}?"
    seen = f"<bos><start_of_turn>user\n## Question: \n\n{question}\n\nAnswer in JSON.<end_of_turn>\n"
    place = {"session_id": f"gsm-#{number}", "id": f"gsm-#{number}", "dataset": "gsm", "generator": "org/name"}
    return {**place, "chat_history": [seen], "model_input": seen, "output": [output], "question": question} | {
        "answer": answer,
        **changes,
    }


def ifeval(number: int, followed: list[bool], **changes: Any) -> dict[str, Any]:
    """A record with an instruction of each family."""
    names = ["en:punctuation:no_comma", "en:length_constraints:number_words"][: len(followed)]
    told = {"instruction_id_list": names, "prompt": f"Write letter {number}.", "response": "Dear Sir"}
    return {"follow_all_instructions": all(followed), "follow_instruction_list": followed, **told, **changes}


def alpaca_eval(number: int, preference: float | None, **changes: Any) -> dict[str, Any]:
    """A record of one comparison."""
    texts = {"instruction": f"Name {number} actors.", "output_1": "theirs", "output_2": "ours", "dataset": "helpful"}
    names = {"generator_1": "baseline", "generator_2": "name", "annotator": "judge"}
    return {**texts, **names, "preference": preference, **changes}


def document(path: Path, content: Any) -> Path:
    """Write JSON; a list as JSON Lines where the file's name says so."""
    if path.suffix == ".jsonl":
        return write_lines(path, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def published(folder: Path) -> list[Path]:
    """A file of each tool, where the tool puts it."""
    said = ["The answer is (B).", "Answer: A", "so C or B", "no idea"]
    return [
        document(
            folder / "a" / "model_outputs_name_5shots.json", [mmlu_pro(n, "B", text) for n, text in enumerate(said)]
        ),
        document(folder / "b" / "gsm" / "name.json", [zeroeval(n, f'{{"answer": "${n}8"}}') for n in range(3)]),
        document(folder / "c" / "en_name" / "eval_results_strict.jsonl", [ifeval(n, [True, n > 0]) for n in range(3)]),
        document(folder / "d" / "name" / "annotations.json", [alpaca_eval(n, 1 + n / 2) for n in range(3)]),
    ]
