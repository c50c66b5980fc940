"""Tiny random models of real architectures, and SAEs of their activations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core_helpers import TEXT, loaded

if TYPE_CHECKING:
    import torch

WIDTH, LATENTS, LAYERS = 32, 64, 4


def tiny_model(kind: str, vocabulary: int, layers: int = LAYERS, context: int = 256):
    """A random model of a real architecture, 32 wide."""
    import torch
    import transformers as tf

    torch.manual_seed(0)
    common = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": context,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
        "tie_word_embeddings": True,
    }
    gpt2 = {"n_embd": WIDTH, "n_layer": layers, "n_head": 4, "n_positions": context}
    configs = {
        "llama": lambda: tf.LlamaConfig(**common),
        "qwen2": lambda: tf.Qwen2Config(**common),
        "gemma2": lambda: tf.Gemma2Config(**common, sliding_window=16, query_pre_attn_scalar=8),
        "gpt2": lambda: tf.GPT2Config(vocab_size=vocabulary, **gpt2, bos_token_id=0, eos_token_id=1),
    }
    model = tf.AutoModelForCausalLM.from_config(configs[kind]())
    # Random weights are so small that every next token is about equally likely; larger ones make choices differ.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return model.eval()


def save_tiny_sae(folder: Path, x: torch.Tensor, hook: str, *, active: float = 1.5, standard: bool = False) -> Path:
    """An SAE whose latents are the principal axes of activations, both ways, so many of them active per token.

    Its architecture is SAELens' JumpReLU, or the standard one, whose plain ReLU has no threshold.
    """
    import torch
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig

    mean = x.mean(dim=0)
    axes = torch.linalg.svd(x - mean, full_matrices=False).Vh
    directions = torch.cat([axes, -axes])[:LATENTS]
    scores = ((x - mean) @ directions.T).flatten()
    threshold = float(scores.kthvalue(int(scores.numel() * (1 - active / LATENTS))).values)
    metadata = SAEMetadata(hook_name=hook, model_name="tiny", prepend_bos=True)
    settings = {"d_in": x.shape[1], "d_sae": len(directions), "apply_b_dec_to_input": False, "metadata": metadata}
    sae = StandardSAE(StandardSAEConfig(**settings)) if standard else JumpReLUSAE(JumpReLUSAEConfig(**settings))
    with torch.no_grad():
        sae.W_enc.copy_(directions.T)
        sae.W_dec.copy_(directions)
        sae.b_dec.copy_(mean)
        sae.b_enc.copy_(-(mean @ directions.T) - (threshold if standard else 0.0))
        if not standard:
            sae.threshold.fill_(threshold)
    sae.save_model(folder)
    return folder


def fit_tiny_sae(folder: Path, model: Path, hook: str) -> Path:
    """Such an SAE of what a tiny model computes on a text."""
    from competency_gaps.model.hooks import read_hook, resolve_hook

    lm = loaded(model)
    ids = np.asarray(lm.tokenizer(TEXT)["input_ids"], np.int32)
    return save_tiny_sae(folder, read_hook(lm, resolve_hook(lm.model, hook), [ids])[0].float(), hook)
