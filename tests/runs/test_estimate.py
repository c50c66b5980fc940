"""The estimated number of tokens is near that which a run computes."""

from __future__ import annotations

import pytest

import competency_gaps
from competency_gaps.config import RunConfig, parse_config
from competency_gaps.progress import Progress
from competency_gaps.stages.estimate import estimate_reading
from competency_gaps.stages.setting import set_up


def counted(config, tmp_path, monkeypatch) -> int:
    """Tokens that the model's passes compute in a run, without those of the gate and of one-token probes."""
    import torch

    from competency_gaps.stages import pipeline

    tokens = []
    real = pipeline.read_suite

    def read(setting, *others):
        handle = setting.lm.model.model.register_forward_pre_hook(
            lambda m, args, kwargs: tokens.append((args[0] if args else kwargs["input_ids"]).numel()), with_kwargs=True
        )
        try:
            with torch.inference_mode():
                return real(setting, *others)
        finally:
            handle.remove()

    monkeypatch.setattr(pipeline, "read_suite", read)
    competency_gaps.run(config, tmp_path / "run")
    return sum(tokens)


@pytest.mark.parametrize(
    "before", ["", "A long instruction that every item begins with, so that it is read once. " * 3]
)
def test_tokens(tiny_config, tmp_path, monkeypatch, before):
    config = {**tiny_config, "benchmarks": [{**one, "before": before} for one in tiny_config["benchmarks"]]}
    config["batch_tokens"] = 4096
    checked = parse_config(RunConfig, config, "test")
    setting = set_up(checked, Progress(quiet=True))
    estimate = estimate_reading(setting.prepared, setting.extractor, checked.span, gate_tokens=0)
    items = [one for ones in setting.prepared.values() for one in ones if one.excluded is None]
    assert estimate.items == len(items) and estimate.seconds > 0 and estimate.memory > 1e6 and estimate.written == 0
    # Padding, and options that are split into more tokens than their length says.
    assert 0.6 < estimate.tokens / counted(config, tmp_path, monkeypatch) < 1.1
    assert f"{len(items):,} items" in estimate.sentence() and "of memory" in estimate.sentence()
