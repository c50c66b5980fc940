"""Small files in the forms of MMLU-Pro, ZeroEval, IFEval and AlpacaEval, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=4) if path.suffix == ".json" else "".join(json.dumps(c) + "\n" for c in content)
    path.write_text(text, encoding="utf-8")
    return path


def write(folder: Path) -> list[Path]:
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
