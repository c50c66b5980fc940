"""Write logs as lm-evaluation-harness does, of models whose answers are drawn, so that what should be found is known.

    python examples/drawn_logs.py FOLDER

Items are those of four benchmarks that come with the package, as subjects of one task. Each model answers right with
its own chance, and with a chance that is 40 points lower where it is weak.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from competency_gaps.embedded import embedded_benchmark

TIME = "2026-01-01T00-00-00"
SUBJECTS = ("time-and-calendar", "money-and-work", "health-and-body", "letters-and-spelling")
HOURS = ("clock-times", "timetables", "durations", "deadlines", "time-units", "clock-changes-and-zones")
MODELS = {
    "amber-1b": (0.78, HOURS),
    "birch-1b": (0.71, ()),
    "cedar-1b": (0.78, ("health-and-body",)),
    "dune-1b": (0.79, ("letters-and-spelling",)),
    "elder-1b": (0.72, ()),
    "fjord-1b": (0.77, ("money-and-work",)),
}
"""Name -> its chance to answer right, and the groups of items, or benchmarks, in which it is weak."""


def write(folder: Path, model: str) -> Path:
    """Write one model's logs of the task ``everyday``; give their folder."""
    chance, weak = MODELS[model]
    out = folder / model
    out.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(model)
    rows = []
    for subject in SUBJECTS:
        for line in embedded_benchmark(f"embedded:{subject}").read_text("utf-8").splitlines():
            doc = json.loads(line) | {"subject": subject}
            is_weak = {subject, doc.pop("group")} & {*weak}
            rows.append(sample(len(rows), doc, drawn, chance - 0.4 * bool(is_weak)))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (out / f"samples_everyday_{TIME}.jsonl").write_text(lines, encoding="utf-8")
    whole = {
        "results": {"everyday": {"acc,none": sum(row["acc"] for row in rows) / len(rows)}},
        "configs": {"everyday": {"task": "everyday", "output_type": "multiple_choice", "num_fewshot": 0}},
        "higher_is_better": {"everyday": {"acc": True}},
        "n-shot": {"everyday": 0},
        "model_name": model,
    }
    (out / f"results_{TIME}.json").write_text(json.dumps(whole), encoding="utf-8")
    return out


def sample(number: int, doc: dict, drawn: random.Random, chance: float) -> dict:
    """One line of a log: a question with options, and the log-likelihood of each."""
    gold = doc["answer"]
    others = [option for option in range(len(doc["choices"])) if option != gold]
    said = gold if drawn.random() < chance else drawn.choice(others)
    resps = [[str(-5.0 - drawn.random() + 2 * (option == said)), "False"] for option in range(len(doc["choices"]))]
    texts = [{"arg_0": doc["prompt"], "arg_1": f" {choice}"} for choice in doc["choices"]]
    return {
        "doc_id": number,
        "doc": doc,
        "target": str(gold),
        "arguments": {f"gen_args_{option}": text for option, text in enumerate(texts)},
        "resps": [[one] for one in resps],
        "filtered_resps": resps,
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(said == gold),
    }


if __name__ == "__main__":
    for name in MODELS:
        write(Path(sys.argv[1]), name)
