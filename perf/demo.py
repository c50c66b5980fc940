"""How near is the demo to the floor? Time its passes against their matrix products alone, in the same process.

    python perf/demo.py [--limit 40] [--dtype float32 bfloat16]

* floor: the floating-point operations of the passes' matrix products, at the speed of such products that is measured
  here before the passes.
* reading: the passes, with scores, concepts and files; the gate is left out.
* anew: tokens computed if each prompt and option were read separately, per token that is computed.

The last column is what ``runs.estimate.PRODUCTS`` says of every machine. To see what two cores without bfloat16 and
AVX-512 do, on a machine that has more::

    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 python perf/demo.py
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import torch

from competency_gaps.demo import demo_config
from competency_gaps.model.speed import fast_bfloat16, matmul_speed
from competency_gaps.progress import Progress
from competency_gaps.stages.estimate import estimate_reading
from competency_gaps.stages.extraction import ExtractionStage
from competency_gaps.stages.setting import Setting, set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=40, help="items per benchmark")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"] if fast_bfloat16("cpu") else ["float32"])
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{capability}, {torch.get_num_threads()} threads, {args.limit} items of each benchmark")
    for dtype in args.dtype:
        measure(dtype, args.limit)


def measure(dtype: str, limit: int) -> None:
    config = demo_config()
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update={"dtype": dtype}),
            "benchmarks": [one.model_copy(update={"limit": limit}) for one in config.benchmarks],
        }
    )
    setting = set_up(config, Progress(quiet=True))
    estimate = estimate_reading(setting.prepared, setting.extractor, config.span, gate_tokens=0)
    speed = matmul_speed("cpu", dtype)
    seconds = read(setting)
    floor = estimate.operations / speed
    print(
        f"{dtype}: floor {floor:.1f} s ({speed / 1e9:,.0f} billion operations a second), reading {seconds:.1f} s; "
        f"anew {anew(setting) / estimate.tokens:.2f}; floor / reading {floor / seconds:.2f}"
    )


def read(setting: Setting) -> float:
    """Seconds of the reading stage."""
    config = setting.config
    with tempfile.TemporaryDirectory() as folder, Progress(quiet=True).stage("reading") as bar:
        stage = ExtractionStage(Path(folder), setting.extractor, config.span, setting.bos_id, config.generation)
        begin = time.perf_counter()
        for name, items in setting.prepared.items():
            stage.run(name, items, bar)
        return time.perf_counter() - begin


def anew(setting: Setting) -> int:
    """Tokens of each prompt with each of its options, as a row each."""
    tokenizer = setting.lm.tokenizer
    total = 0
    for items in setting.prepared.values():
        for one in items:
            options = tokenizer(list(one.request.texts), add_special_tokens=False)["input_ids"]  # type: ignore[union-attr]
            total += sum(len(one.tokens.ids) + len(ids) - 1 for ids in options)
    return total


if __name__ == "__main__":
    main()
