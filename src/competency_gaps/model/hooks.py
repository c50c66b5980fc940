"""Resolve a hook's name to the module whose activations the SAE reads.

Two kinds of names are understood, for any decoder-only model of transformers:

* TransformerLens' names, as SAELens stores them: ``blocks.20.hook_resid_post``;
* a module path of the Hugging Face model: ``model.layers.20`` (the module's output).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from competency_gaps.model.size import text_config
from competency_gaps.util.errors import UserError, nearest, no_such

if TYPE_CHECKING:
    import torch
    from torch import nn

_BLOCK_HOOK = re.compile(r"^blocks\.(\d+)\.(.+)$")
_TL_HOOKS = (
    *("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out", "attn.hook_z"),
    *("hook_mlp_in", "ln2.hook_normalized", "mlp.hook_in", "mlp.hook_out"),
)
# Names of a block's parts, over the families of transformers.
_ATTENTION = ("self_attn", "attn", "attention", "self_attention")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
_OUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo")
# The norm that reads the residual stream between attention and MLP. Families with sandwich norms (Gemma 2 and 3) call
# it pre_feedforward_layernorm; their post_attention_layernorm normalises the attention's output.
_MID_NORM = ("pre_feedforward_layernorm", "post_attention_layernorm", "ln_2", "ln2", "final_layer_norm")


@dataclass(frozen=True)
class Hook:
    """A place in a model at which activations are read."""

    name: str
    """The name given by the user or the SAE."""
    path: str
    """Path of the module inside the Hugging Face model."""
    side: Literal["input", "output", "normalized"]
    """The module's input or its output; or, of a norm, its output without gain and bias."""
    layer: int | None
    """Index of the decoder block that holds the module; None outside the blocks."""

    def module(self, model: nn.Module) -> nn.Module:
        """The hook's module in a model."""
        return model.get_submodule(self.path)


def decoder_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Path and modules of the model's stack of decoder blocks.

    Raises
    ------
    UserError
        If the model has no module list as long as its configuration's ``num_hidden_layers``.
    """
    from torch import nn as torch_nn

    depth = text_config(model).num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, torch_nn.ModuleList) and len(module) == depth:
            return path, module
    raise UserError(
        f"{type(model).__name__} has no list of {depth} decoder blocks: only decoder-only transformers are supported. "
        f"Give the hook as a module path, one of: {', '.join(_module_paths(model)[:20])}"
    )


def resolve_hook(model: nn.Module, name: str) -> Hook:
    """Find the module that a hook's name stands for.

    Parameters
    ----------
    model
        A causal language model of transformers.
    name
        ``blocks.L.hook_resid_pre``, ``blocks.L.hook_resid_mid``, ``blocks.L.hook_resid_post``,
        ``blocks.L.hook_attn_out``, ``blocks.L.hook_mlp_out``, ``blocks.L.attn.hook_z``, ``blocks.L.hook_mlp_in``
        (before the norm), ``blocks.L.ln2.hook_normalized`` (after it, without its gain), ``blocks.L.mlp.hook_in``
        (what enters the MLP), ``blocks.L.mlp.hook_out``, or a module path.

    Raises
    ------
    UserError
        If there is no such layer, hook or module; the message lists what exists.
    """
    match = _BLOCK_HOOK.match(name)
    if match is None:
        return _resolve_path(model, name)
    blocks_path, blocks = decoder_blocks(model)
    layer, hook = int(match[1]), match[2]
    if layer >= len(blocks):
        raise UserError(
            f"hook {name!r}: the model has layers 0 to {len(blocks) - 1}, not {layer}. "
            f"Choose a layer that exists, or the model that the SAE was trained on."
        )
    if hook not in _TL_HOOKS:
        raise no_such(f"hook {name!r}: inside a block there is no", hook, _TL_HOOKS)
    part, side = _block_part(blocks[layer], hook)
    path = f"{blocks_path}.{layer}" + (f".{part}" if part else "")
    return Hook(name, path, side, layer)


@contextmanager
def captured(model: nn.Module, hook: Hook, *, stop: bool, passes: int | None = None) -> Iterator[list[torch.Tensor]]:
    """Collect the activations at a hook while the body of the ``with`` runs the model.

    Parameters
    ----------
    stop
        End the forward pass at the hook: nothing above it is computed.
    passes
        Number of passes whose activations are kept, from the first; None: all.

    Yields
    ------
    list of torch.Tensor
        One tensor of shape (rows, positions, width) per forward pass, in the model's dtype.
        Head-split activations (``hook_z``) have their heads joined.
    """
    activations: list[torch.Tensor] = []

    def take(value: torch.Tensor) -> torch.Tensor:
        if passes is None or len(activations) < passes:
            activations.append(_normalized(hook.module(model), value) if hook.side == "normalized" else value)
        if stop:
            raise _StopForward
        return value

    with changed(model, hook, take), suppress(_StopForward):
        yield activations


@contextmanager
def changed(model: nn.Module, hook: Hook, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Pass the activations at a hook through ``change`` while the body of the ``with`` runs the model."""

    def on_input(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    def on_output(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    module = hook.module(model)
    if hook.side != "output":
        handle = module.register_forward_pre_hook(on_input, with_kwargs=True)
    else:
        handle = module.register_forward_hook(on_output)
    try:
        yield
    finally:
        handle.remove()


def _normalized(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm gives before its gain and bias, in its input's dtype."""
    import torch

    y = x.float()
    if isinstance(norm, torch.nn.LayerNorm):
        y = y - y.mean(dim=-1, keepdim=True)
    epsilon = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return (y * torch.rsqrt(y.square().mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype)


class _StopForward(BaseException):
    """Ends a forward pass at the hook. A BaseException, so that handlers of ordinary errors do not catch it."""


def _block_part(block: nn.Module, hook: str) -> tuple[str, Literal["input", "output", "normalized"]]:
    if hook == "hook_resid_pre":
        return "", "input"
    if hook == "hook_resid_post":
        return "", "output"
    # If outputs are normalised before they are added to the stream, the hook reads the normalised ones.
    norms_outputs = hasattr(block, "post_feedforward_layernorm")
    if hook.startswith("mlp."):
        return _first(block, _MLP, hook), "input" if hook == "mlp.hook_in" else "output"
    if hook == "ln2.hook_normalized":
        return _first(block, _MID_NORM, hook), "normalized"
    if hook in ("hook_resid_mid", "hook_mlp_in"):
        if norms_outputs and not hasattr(block, "pre_feedforward_layernorm"):  # OLMo 2: the MLP reads the stream bare
            return _first(block, _MLP, hook), "input"
        return _first(block, _MID_NORM, hook), "input"
    if hook == "hook_attn_out":
        return ("post_attention_layernorm" if norms_outputs else _first(block, _ATTENTION, hook)), "output"
    if hook == "hook_mlp_out":
        return ("post_feedforward_layernorm" if norms_outputs else _first(block, _MLP, hook)), "output"
    attention = _first(block, _ATTENTION, hook)
    return f"{attention}.{_first(block.get_submodule(attention), _OUT_PROJECTION, hook)}", "input"


def _first(module: nn.Module, names: tuple[str, ...], hook: str) -> str:
    children = dict(module.named_children())
    for name in names:
        if name in children:
            return name
    raise UserError(
        f"{hook}: {type(module).__name__} has no known part for it (its parts: {', '.join(children)}). "
        f"Give the hook as a module path."
    )


def _resolve_path(model: nn.Module, path: str) -> Hook:
    modules = dict(model.named_modules())
    if not path or path not in modules:
        paths = _module_paths(model)
        raise UserError(
            f"hook {path!r}: the model has no such module.{nearest(path, modules)} "
            f"Hooks are blocks.L.{{{', '.join(_TL_HOOKS)}}} or a module path, among them: {', '.join(paths)}"
        )
    layer = re.search(r"\.(\d+)(\.|$)", path)
    return Hook(path, path, "output", int(layer[1]) if layer else None)


def _module_paths(model: nn.Module) -> list[str]:
    """Module paths with layer numbers replaced by ``<layer>``."""
    folded = (re.sub(r"\.\d+(?=\.|$)", ".<layer>", path) for path, _ in model.named_modules() if path)
    return sorted(set(folded))
