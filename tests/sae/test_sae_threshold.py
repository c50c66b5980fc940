"""SAEs that are read without SAELens give SAELens' own numbers, and nothing else is read that way."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
import torch

from competency_gaps.items.config import SAEConfig
from competency_gaps.model.load import weights_hash
from competency_gaps.sae.load import load_sae
from competency_gaps.sae.threshold import ThresholdSAE, is_threshold_sae
from competency_gaps.util.errors import UserError
from sae_helpers import LATENTS, WIDTH, build, trained

EMBEDDED = "embedded:smollm2-135m-instruct-l15-8k"


def config(folder):
    return json.loads((folder / "cfg.json").read_text())


def folders(tmp_path):
    yield build("jumprelu", tmp_path / "j")
    yield build("jumprelu", tmp_path / "jb", apply_b_dec_to_input=False)
    yield build("standard", tmp_path / "s", apply_b_dec_to_input=False)
    yield build("standard", tmp_path / "sb", apply_b_dec_to_input=True)
    yield trained("batchtopk", tmp_path / "b")
    yield trained("matryoshka", tmp_path / "m")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_number_equals_saelens(tmp_path, dtype):
    from sae_lens import SAE

    x = 2 * torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(0))
    for folder in folders(tmp_path):
        ours = load_sae(SAEConfig(folder=folder, dtype=dtype), "cpu")
        theirs = SAE.load_from_disk(folder, dtype=dtype)
        assert isinstance(ours.sae, ThresholdSAE)
        latents = ours.encode(x)
        assert 0.05 < float(latents.gt(0).float().mean()) < 0.6
        assert torch.equal(latents, theirs.encode(x))
        assert torch.equal(ours.sae.decode(latents), theirs.decode(latents))
        assert torch.equal(ours.sae.W_dec, theirs.W_dec) and ours.sae.dtype == theirs.dtype
        # A run that was begun with the one is the same run with the other.
        settings = {k: v for k, v in theirs.cfg.to_dict().items() if k not in ("metadata", "device")}
        theirs_sha = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
        assert ours.identity["settings_sha256"] == theirs_sha
        assert ours.identity["weights_sha256"] == weights_hash(theirs)
        assert (ours.d_in, ours.d_sae, ours.hook_name) == (WIDTH, LATENTS, theirs.cfg.metadata.hook_name)


def test_the_embedded_sae_equals_saelens():
    from sae_lens import SAE

    ours = load_sae(SAEConfig(folder=EMBEDDED), "cpu")
    theirs = SAE.load_from_disk(ours.folder, dtype="float32")
    x = 30 * torch.randn(40, 576, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours.encode(x), theirs.encode(x)) and float(ours.encode(x).gt(0).sum()) > 100


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "topk", "k": 3},
        {"normalize_activations": "layer_norm"},
        {"reshape_activations": "hook_z"},
        {"a_setting_of_next_year": 1},
        {"metadata": {"sae_lens_version": "5.10.0"}},
        {"metadata": None},
    ],
)
def test_what_may_need_other_arithmetic_is_left_to_saelens(tmp_path, change):
    known = config(build("jumprelu", tmp_path / "j"))
    assert is_threshold_sae(known)
    assert not is_threshold_sae({**known, **change})


@pytest.mark.parametrize("change", [{"d_sae": LATENTS + 1}, {"d_in": WIDTH - 1}, {"architecture": "standard"}])
def test_weights_that_do_not_belong_to_the_settings_are_refused(tmp_path, change):
    folder = build("jumprelu", tmp_path / "j")
    (folder / "cfg.json").write_text(json.dumps({**config(folder), **change}))
    with pytest.raises(UserError, match=r"cannot be loaded: .*(expected|weights are)"):
        load_sae(SAEConfig(folder=folder), "cpu")


def test_saelens_is_not_imported():
    code = (
        "import sys; from competency_gaps.sae.load import load_sae; from competency_gaps.items.config import SAEConfig;"
        f"load_sae(SAEConfig(folder={EMBEDDED!r}), 'cpu'); print('sae_lens' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
