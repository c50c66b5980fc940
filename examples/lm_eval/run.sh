#!/usr/bin/env bash
# lm-evaluation-harness on a local task, then where the model is weak: run.sh [ITEMS] [FOLDER]. Two minutes without a GPU;
# no network but for the model's 93 MB at the first time. Needs: pip install 'competency-gaps[demo]' 'lm-eval[hf]'
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) items=${1:-120} out=${2:-lm-eval-example}
mkdir -p "$out" && cd "$out"

# Your model and your task, in place of these two.
[ -d model ] || python "$here/../embedded_model.py" model
python - "$items" > scenes.jsonl <<'PYTHON'
import itertools, json, sys
from competency_gaps.embedded import BENCHMARKS

names = ("school-science", "time-and-calendar", "letters-and-spelling")
files = [BENCHMARKS[f"embedded:{name}"].open() for name in names]
for line in itertools.islice(itertools.chain.from_iterable(zip(*files)), int(sys.argv[1])):
    item = json.loads(line)
    print(json.dumps({**item, "choices": [f" {choice}" for choice in item["choices"]]}))
PYTHON

lm_eval --model hf --model_args pretrained=model,dtype=float32 --device cpu --batch_size 8 \
  --include_path "$here" --tasks scenes --log_samples --output_path logs
cgaps logs logs                             # what would be read, and the command to type
cgaps run --log logs --field group=group --out run --read
cgaps show run --limit 5                    # of so few items: what stands out, and what could have been found
