"""How well do concepts tell what an item is about, compared with the residual stream they are made of?

    python validation/probes.py BENCHMARKS --sae embedded:smollm2-135m-instruct-l15-8k --sae OTHER

BENCHMARKS is a folder of JSON Lines with the fields ``prompt`` and ``group``, one folder for each. Subjects are the
groups of ``mmlu``, tasks the benchmarks whose names begin with ``bbh_``. A linear probe (logistic regression, items
held out four times) predicts them from the items' concept activation scores (CAS), and from the mean of what the SAE
encodes. Prints a line of JSON per SAE and question: both accuracies, the standard error of the first, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.model.batches import plan_batches
from competency_gaps.model.hooks import read_hook
from competency_gaps.reading.pooling import pool
from competency_gaps.sae.load import LoadedPair, load_pair

BATCH_TOKENS = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("--model", default="embedded:smollm2-135m-instruct")
    parser.add_argument("--sae", action="append", required=True)
    parser.add_argument("--each", type=int, default=35, help="items of each group")
    parser.add_argument("--longest", type=int, default=256, help="tokens of an item that are read")
    args = parser.parse_args()
    items = {"MMLU subject": subjects(args.benchmarks, args.each), "BBH task": tasks(args.benchmarks, args.each)}
    for name in args.sae:
        pair = load_pair(ModelConfig(name=args.model), SAEConfig(folder=name))
        for question, (texts, labels) in items.items():
            cas, mean = features(pair, texts, args.longest)
            print(json.dumps({"sae": name, "question": question, **figures(cas, mean, np.array(labels))}), flush=True)


def subjects(folder: Path, each: int) -> tuple[list[str], list[str]]:
    """Prompts of MMLU and their subjects."""
    groups: dict[str, list[str]] = defaultdict(list)
    for record in lines(folder / "mmlu" / "test.jsonl"):
        groups[record["group"]].append(record["prompt"])
    return _drawn(groups, each)


def tasks(folder: Path, each: int) -> tuple[list[str], list[str]]:
    """Prompts of BBH and their tasks."""
    paths = sorted(folder.glob("bbh_*/test.jsonl"))
    return _drawn({path.parent.name: [record["prompt"] for record in lines(path)] for path in paths}, each)


def lines(path: Path) -> list[dict[str, str]]:
    """Objects of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _drawn(groups: dict[str, list[str]], each: int) -> tuple[list[str], list[str]]:
    texts, labels = [], []
    for name in sorted(groups):
        chosen = random.Random(name).sample(groups[name], min(each, len(groups[name])))
        texts += chosen
        labels += [name] * len(chosen)
    return texts, labels


def features(pair: LoadedPair, texts: list[str], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """CAS of shape (items, concepts), and the mean of what the SAE encodes, of shape (items, width)."""
    bos = [] if pair.bos_id is None else [pair.bos_id]
    rows = [bos + pair.lm.tokenizer(text, add_special_tokens=False)["input_ids"][:longest] for text in texts]
    sequences = [np.asarray(row, np.int32) for row in rows]
    cas = np.zeros((len(texts), pair.sae.d_sae), np.float32)
    mean = np.zeros((len(texts), pair.sae.d_in), np.float32)
    for batch in plan_batches([len(row) for row in sequences], BATCH_TOKENS):
        read = read_hook(pair.lm, pair.hook, [sequences[i] for i in batch])
        own = [np.arange(len(sequences[i])) >= len(bos) for i in batch]
        spans = [pair.sae.inputs(x, mask) for x, mask in zip(read, own, strict=True)]
        for i, span, row in zip(batch, spans, pool(pair.sae, spans, "mean"), strict=True):
            if row is None:
                raise SystemExit(f"activations of {texts[i][:80]!r} are not finite")
            cas[i, row.concepts] = row.cas
            mean[i] = span.float().mean(dim=0).cpu().numpy()
    return cas, mean


def figures(cas: np.ndarray, mean: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
    """Accuracies of both probes."""
    from_cas = accuracy(make_pipeline(MaxAbsScaler(), LogisticRegression(C=10.0, max_iter=500)), cas, labels)
    from_mean = accuracy(make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)), mean, labels)
    return {
        "items": len(labels),
        "classes": len(set(labels.tolist())),
        "concepts": round(from_cas, 3),
        "residual": round(from_mean, 3),
        "standard_error": round(float(np.sqrt(from_cas * (1 - from_cas) / len(labels))), 3),
        "ratio": round(from_cas / from_mean, 3),
    }


def accuracy(probe: object, features: np.ndarray, labels: np.ndarray) -> float:
    """Share of held-out items that a probe gets right."""
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    return float((cross_val_predict(probe, features, labels, cv=folds) == labels).mean())


if __name__ == "__main__":
    main()
