"""A hook's name gives the tensor that plain transformers gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.model.batches import pad
from competency_gaps.model.hooks import captured, decoder_blocks, hook_width, read_hook, resolve_hook
from competency_gaps.util.errors import UserError
from core_helpers import KINDS, loaded

SEQUENCES = [np.arange(5, 35, dtype=np.int32), np.asarray([0, 40, 7, 90], np.int32), np.arange(60, 83, dtype=np.int32)]
LAYERS = 4


def parts(kind: str, layer: int) -> dict[str, str]:
    block = f"transformer.h.{layer}" if kind == "gpt2" else f"model.layers.{layer}"
    attention = f"{block}.attn" if kind == "gpt2" else f"{block}.self_attn"
    gemma = kind == "gemma2"
    return {
        "block": block,
        "attention": attention,
        "attn_out": f"{block}.post_attention_layernorm" if gemma else attention,
        "mlp_out": f"{block}.post_feedforward_layernorm" if gemma else f"{block}.mlp",
        "projection": f"{attention}.c_proj" if kind == "gpt2" else f"{attention}.o_proj",
        "final_norm": "transformer.ln_f" if kind == "gpt2" else "model.norm",
    }


def plain(model, ids: np.ndarray, watch: dict[str, str]) -> dict:
    """One full pass over one unpadded row: hidden states, and what the watched modules gave and took."""
    seen: dict = {}
    handles = []
    for key, path in watch.items():

        def note(_module, args, kwargs, output, key=key):
            seen[key] = output[0] if isinstance(output, tuple) else output
            seen[f"{key}:in"] = args[0] if args else kwargs.get("hidden_states")

        handles.append(model.get_submodule(path).register_forward_hook(note, with_kwargs=True))
    out = model(input_ids=torch.from_numpy(ids.astype(np.int64))[None], output_hidden_states=True, use_cache=False)
    for handle in handles:
        handle.remove()
    return {**{k: v[0] for k, v in seen.items()}, "hidden": [h[0] for h in out.hidden_states], "logits": out.logits[0]}


def rows(lm, name: str) -> list[torch.Tensor]:
    """Our activations at a hook for three padded rows, cut to their lengths."""
    found = read_hook(lm, resolve_hook(lm.model, name), SEQUENCES)
    return [found[i, : len(ids)] for i, ids in enumerate(SEQUENCES)]


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_the_tensor_of_plain_transformers(kind, model_folder):
    lm = loaded(model_folder(kind))
    for layer in range(LAYERS):
        names = parts(kind, layer)
        ours = {
            hook: rows(lm, f"blocks.{layer}.{hook}")
            for hook in (
                "hook_resid_pre",
                "hook_resid_mid",
                "hook_resid_post",
                "hook_attn_out",
                "hook_mlp_out",
                "attn.hook_z",
            )
        }
        by_path = rows(lm, names["block"])
        for i, ids in enumerate(SEQUENCES):
            truth = plain(lm.model, ids, names)
            close(ours["hook_resid_pre"][i], truth["hidden"][layer])
            if layer < LAYERS - 1:
                close(ours["hook_resid_post"][i], truth["hidden"][layer + 1])
            else:  # transformers normalises the last hidden state; the stream itself is what the norm read
                close(ours["hook_resid_post"][i], truth["final_norm:in"])
                close(lm.model.get_submodule(names["final_norm"])(ours["hook_resid_post"][i]), truth["hidden"][-1])
            close(ours["hook_attn_out"][i], truth["attn_out"])
            close(ours["hook_mlp_out"][i], truth["mlp_out"])
            close(ours["attn.hook_z"][i], truth["projection:in"])
            close(lm.model.get_submodule(names["projection"])(ours["attn.hook_z"][i]), truth["attention"])
            # The residual stream adds up: what the names mean, whatever the modules are called.
            close(ours["hook_resid_mid"][i], ours["hook_resid_pre"][i] + ours["hook_attn_out"][i])
            close(ours["hook_resid_post"][i], ours["hook_resid_mid"][i] + ours["hook_mlp_out"][i])
            assert torch.equal(by_path[i], ours["hook_resid_post"][i])


@pytest.mark.parametrize("kind", KINDS)
def test_what_enters_the_mlp(kind, model_folder):
    """Before the norm, after it without its gain, and with it: gains are random, so that the three differ."""
    lm = loaded(model_folder(kind))
    block = lm.model.get_submodule(parts(kind, 1)["block"])
    norm = block.ln_2 if kind == "gpt2" else (block.pre_feedforward_layernorm if kind == "gemma2" else None)
    norm = norm if norm is not None else block.post_attention_layernorm
    before = {name: value.clone() for name, value in norm.named_parameters()}
    try:
        with torch.no_grad():
            for value in norm.parameters():
                value.copy_(torch.rand(value.shape, generator=torch.Generator().manual_seed(3)) + 0.5)
        gain = norm.weight + 1 if kind == "gemma2" else norm.weight
        names = {"mlp": f"{parts(kind, 1)['block']}.mlp", "stream": parts(kind, 1)["block"]}
        ours = {hook: rows(lm, f"blocks.1.{hook}") for hook in ("hook_mlp_in", "ln2.hook_normalized", "mlp.hook_in")}
        for i, ids in enumerate(SEQUENCES):
            truth = plain(lm.model, ids, names)
            close(ours["mlp.hook_in"][i], truth["mlp:in"])
            close(norm(ours["hook_mlp_in"][i]), truth["mlp:in"])
            close(ours["ln2.hook_normalized"][i] * gain + getattr(norm, "bias", 0), truth["mlp:in"])
            close(rows(lm, "blocks.1.mlp.hook_out")[i], truth["mlp"])
    finally:
        with torch.no_grad():
            for name, value in norm.named_parameters():
                value.copy_(before[name])


def test_post_norm_blocks_add_up():
    """OLMo 2 normalises outputs but not inputs, so its norms' names mean other places than Llama's."""
    from transformers import Olmo2Config, Olmo2ForCausalLM

    torch.manual_seed(0)
    model = Olmo2ForCausalLM(
        Olmo2Config(vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    ).eval()
    ids = torch.arange(9)[None]
    found = {}
    for hook in ("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out"):
        with torch.inference_mode(), captured(model, resolve_hook(model, f"blocks.1.{hook}"), stop=True) as got:
            model(input_ids=ids)
        found[hook] = got[0]
    assert found["hook_attn_out"].abs().max() > 1e-3
    close(found["hook_resid_mid"], found["hook_resid_pre"] + found["hook_attn_out"])
    close(found["hook_resid_post"], found["hook_resid_mid"] + found["hook_mlp_out"])


def test_stop_ends_the_pass_at_the_hook(model_folder):
    lm = loaded(model_folder("llama"))
    calls: list[int] = []
    _, blocks = decoder_blocks(lm.model)
    before = [len(b._forward_hooks) for b in blocks]  # transformers keeps some of its own
    handles = [b.register_forward_pre_hook(lambda m, a, i=i: calls.append(i)) for i, b in enumerate(blocks)]
    try:
        read_hook(lm, resolve_hook(lm.model, "blocks.1.hook_resid_post"), SEQUENCES)
        assert calls == [0, 1]
        calls.clear()
        read_hook(lm, resolve_hook(lm.model, "blocks.2.hook_resid_pre"), SEQUENCES)
        assert 3 not in calls
        calls.clear()
        ids = torch.from_numpy(pad(SEQUENCES, 1))
        with (
            torch.inference_mode(),
            captured(lm.model, resolve_hook(lm.model, "blocks.1.hook_resid_post"), stop=False) as got,
        ):
            logits = lm.model(input_ids=ids, use_cache=False).logits
        assert calls == [0, 1, 2, 3] and len(got) == 1 and logits.shape[:2] == ids.shape
    finally:
        for handle in handles:
            handle.remove()
    assert [len(b._forward_hooks) for b in blocks] == before, "hooks are taken off again"
    assert not any(b._forward_pre_hooks for b in blocks)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("blocks.9.hook_resid_post", ["layers 0 to 3", "not 9"]),
        ("blocks.1.hook_resid_pst", ["Did you mean 'hook_resid_post'?"]),
        ("model.layers.9", ["no such module", "model.layers.<layer>.self_attn.o_proj", "blocks.L."]),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, says, model_folder):
    lm = loaded(model_folder("llama"))
    with pytest.raises(UserError) as error:
        resolve_hook(lm.model, name)
    for text in says:
        assert text in str(error.value)


def test_a_model_that_always_fails_is_refused_at_once(model_folder):
    """Also above the hook: else each of its items would be excluded as if that were at fault."""
    lm = loaded(model_folder("llama"))
    hook = resolve_hook(lm.model, "blocks.1.hook_resid_post")
    assert hook_width(lm, hook) == 32

    def broken(*_):
        raise IndexError("no such kernel\nin the second line")

    handle = lm.model.lm_head.register_forward_hook(broken)
    try:
        with pytest.raises(UserError, match=r"fails on a single token: IndexError: no such kernel\. Check that"):
            hook_width(lm, hook)
    finally:
        handle.remove()
