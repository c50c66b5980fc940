"""Measure an SAE on texts or on the prompts of benchmark files.

    python recipes/stretches/evaluate.py SAE --texts corpus/heldout.parquet
    python recipes/stretches/evaluate.py SAE --prompts BENCHMARKS     # a folder of JSONL files with a field "prompt"

Prompts are read plainly and, every second one, in the model's chat template. Prints one JSON document:
L0, explained variance, silent latents, and the share of the loss recovered.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from competency_gaps.config import ModelConfig, SAEConfig
from competency_gaps.items.item import Message
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.progress import Progress
from competency_gaps.sae import load_sae
from competency_gaps.sae.measure import evaluate_sae
from competency_gaps.sae.texts import cut_pieces, read_documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sae")
    parser.add_argument("--model", default="embedded:smollm2-135m-instruct")
    parser.add_argument("--texts", type=Path, nargs="*", default=[])
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--tokens", type=int, default=150_000)
    parser.add_argument("--loss-tokens", type=int, default=30_000)
    args = parser.parse_args()
    lm = load_model(ModelConfig(name=args.model))
    sae = load_sae(SAEConfig(folder=args.sae), lm.device)
    documents = prompts(args.prompts) if args.prompts else read_documents(args.texts)
    bos_id = resolve_bos(lm.tokenizer, "auto", sae_prepends=sae.prepend_bos)
    pieces = cut_pieces(documents, lm.tokenizer, context=1024, bos_id=bos_id)
    figures, _ = evaluate_sae(
        lm,
        resolve_hook(lm.model, sae.hook_name),
        sae,
        pieces,
        tokens=args.tokens,
        loss_tokens=args.loss_tokens,
        progress=Progress(),
    )
    print(json.dumps(asdict(figures), indent=1))


def prompts(folder: Path) -> Iterator[str | list[Message]]:
    """Prompts of all files below a folder, shuffled."""
    found: list[str] = []
    for path in sorted(folder.rglob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").split("\n")
        found += [json.loads(line)["prompt"] for line in lines if line.strip()]
    random.Random(0).shuffle(found)
    for index, prompt in enumerate(found):
        yield prompt if index % 2 else [{"role": "user", "content": prompt}]


if __name__ == "__main__":
    main()
