#!/bin/bash
# Every script of this folder, each followed by the seconds that it took: bash perf/all.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
export OMP_NUM_THREADS=1

measure() {
  echo "== perf/$*"
  local start=$SECONDS
  "$python" "perf/$@" 2> "$runs/errors" || { cat "$runs/errors"; exit 1; }
  echo "   ($((SECONDS - start)) s)"
}

measure startup.py --rounds 2
measure from_logs.py --rounds 1
measure extraction.py --items 24 --rounds 1
measure gpu.py --items 40 --rounds 1
measure beside_work.py --rounds 1 --sample 12
measure one_pass.py --items 16 --rounds 1
measure memory.py --small 20 --large 160
measure evidence.py --millions 5
measure evidence_from_disk.py --millions 2 8
measure workers.py --rounds 1 --limit 12
measure synthetic_run.py "$runs/run" --concepts 16384 --benchmarks 6 --items 5000 --nonzeros 2000000
measure explorer.py "$runs/run" --rounds 2
measure explorer_load.py "$runs/run" --clients 50 --minutes 0.5
echo "all: $SECONDS s"
