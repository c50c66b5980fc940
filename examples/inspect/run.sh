#!/usr/bin/env bash
# Inspect on a local task, then where the model is weak: run.sh [ITEMS] [FOLDER]. Two minutes without a GPU; no network but
# for the model's 93 MB at the first time. Needs: pip install 'competency-gaps[demo,inspect]' inspect-ai
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) items=${1:-60} out=${2:-inspect-example}
mkdir -p "$out" && cd "$out"

# Your model and your task, in place of these two.
[ -d model ] || python "$here/../embedded_model.py" model
cp "$here/scenes.py" .
inspect eval scenes.py --model hf/smollm2 -M model_path=model -M tokenizer_path=model -M device=cpu -M do_sample=false \
  --limit "$items" --max-connections 8 --display plain --log-dir logs
cgaps logs logs                             # what would be read, and the command to type
cgaps run --log logs --field group=topic --out run --read
cgaps show run --limit 5                    # of so few items: what stands out, and what could have been found
