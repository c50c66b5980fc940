"""Compare the time of the demo's passes with that of their matrix products alone, in the same process.

    python perf/demo.py [--limit 40] [--dtype float32 bfloat16]

* floor: time of the passes' matrix products at the speed that is measured here just before the passes.
* reading: time of the passes, including scores, concepts and files, without the gate.
* separate: tokens computed if each prompt were read again with each of its options, per token computed now.

``stages.estimate.PRODUCTS`` assumes the last column, floor / reading, for every machine. To imitate a machine without
bfloat16 and AVX-512 on one that has them::

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
from competency_gaps.model.size import fast_bfloat16, matmul_speed
from competency_gaps.progress import Progress
from competency_gaps.stages.engines import read_here, read_suite
from competency_gaps.stages.estimate import estimate_reading
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
            "benchmarks": [benchmark.model_copy(update={"limit": limit}) for benchmark in config.benchmarks],
        }
    )
    setting = set_up(config, Progress(quiet=True))
    estimate = estimate_reading(setting.prepared, setting.extractor, config.span, gate_tokens=0)
    speed = matmul_speed("cpu", dtype)
    seconds = read(setting)
    floor = estimate.operations / speed
    print(
        f"{dtype}: floor {floor:.1f} s ({speed / 1e9:,.0f} billion operations a second), reading {seconds:.1f} s; "
        f"separate {separate_tokens(setting) / estimate.tokens:.2f}; floor / reading {floor / seconds:.2f}"
    )


def read(setting: Setting) -> float:
    """Seconds of the reading stage."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        read_suite(setting, Path(folder), read_here, Progress(quiet=True))
        return time.perf_counter() - begin


def separate_tokens(setting: Setting) -> int:
    """Number of tokens if each prompt is read once with each of its options."""
    tokenizer = setting.lm.tokenizer
    total = 0
    for items in setting.prepared.values():
        for item in items:
            options = tokenizer(list(item.request.texts), add_special_tokens=False)["input_ids"]  # type: ignore[union-attr]
            total += sum(len(item.tokens.ids) + len(ids) - 1 for ids in options)
    return total


if __name__ == "__main__":
    main()
