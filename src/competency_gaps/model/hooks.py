"""Find the module that a hook names, and read its activations in a forward pass.

Two kinds of names are understood, for any decoder-only model of transformers:

* TransformerLens' names, as SAELens stores them: ``blocks.20.hook_resid_post``;
* a module path of the Hugging Face model: ``model.layers.20`` (the output of that module).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from competency_gaps.model.batches import OutOfMemoryError, device_fault, pad, ran_out_of_memory
from competency_gaps.model.load import LanguageModel, text_config
from competency_gaps.util.errors import CompetencyGapsError, UserError, nearest, no_such
from competency_gaps.util.text import error_line

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
    """The name as the user or the SAE gives it."""
    path: str
    """Path of the module inside the Hugging Face model."""
    side: Literal["input", "output", "normalized"]
    """The module's input, its output, or (of a norm) its output without gain and bias."""
    layer: int | None
    """Index of the decoder block that holds the module; None outside the blocks."""

    def module(self, model: nn.Module) -> nn.Module:
        """Return the hook's module in a model."""
        return model.get_submodule(self.path)


def decoder_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Return the path and modules of the model's stack of decoder blocks.

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
    """Return the hook that a name stands for.

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
    """Return a norm's output without its gain and bias, in the dtype of its input."""
    import torch

    y = x.float()
    if isinstance(norm, torch.nn.LayerNorm):
        y = y - y.mean(dim=-1, keepdim=True)
    epsilon = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return (y * torch.rsqrt(y.square().mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype)


class _StopForward(BaseException):
    """Ends a forward pass at the hook. A BaseException, so that handlers of ordinary errors do not catch it."""


def _block_part(block: nn.Module, hook: str) -> tuple[str, Literal["input", "output", "normalized"]]:
    """Return the path within a decoder block that a TransformerLens name means, and the side to read."""
    if hook == "hook_resid_pre":
        return "", "input"
    if hook == "hook_resid_post":
        return "", "output"
    # If outputs are normalised before they are added to the stream, the hook reads the normalised ones.
    norms_outputs = hasattr(block, "post_feedforward_layernorm")
    if hook.startswith("mlp."):
        return _child(block, _MLP, hook), "input" if hook == "mlp.hook_in" else "output"
    if hook == "ln2.hook_normalized":
        return _child(block, _MID_NORM, hook), "normalized"
    if hook in ("hook_resid_mid", "hook_mlp_in"):
        if norms_outputs and not hasattr(block, "pre_feedforward_layernorm"):  # OLMo 2: the MLP reads the stream bare
            return _child(block, _MLP, hook), "input"
        return _child(block, _MID_NORM, hook), "input"
    if hook == "hook_attn_out":
        return ("post_attention_layernorm" if norms_outputs else _child(block, _ATTENTION, hook)), "output"
    if hook == "hook_mlp_out":
        return ("post_feedforward_layernorm" if norms_outputs else _child(block, _MLP, hook)), "output"
    attention = _child(block, _ATTENTION, hook)
    return f"{attention}.{_child(block.get_submodule(attention), _OUT_PROJECTION, hook)}", "input"


def _child(module: nn.Module, names: tuple[str, ...], hook: str) -> str:
    """Return the first of these names that a child of the module has."""
    children = dict(module.named_children())
    for name in names:
        if name in children:
            return name
    raise UserError(
        f"{hook}: {type(module).__name__} has no known part for it (its parts: {', '.join(children)}). "
        f"Give the hook as a module path."
    )


def _resolve_path(model: nn.Module, path: str) -> Hook:
    """Resolve a module path; raise UserError with similar paths if there is no such module."""
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
    """Return the model's module paths with layer numbers replaced by ``<layer>``, each once."""
    folded = (re.sub(r"\.\d+(?=\.|$)", ".<layer>", path) for path, _ in model.named_modules() if path)
    return sorted(set(folded))


def read_hook(lm: LanguageModel, hook: Hook, sequences: Sequence[np.ndarray], cache: Any = None) -> torch.Tensor:
    """Return the activations at the hook, of shape (rows, longest, width); the pass ends there.

    Rows are padded on the right. No attention mask is needed: a position of a causal model never
    sees the padding after it, and a pass without a mask takes the fast attention kernels.

    Parameters
    ----------
    cache
        transformers' cache of what precedes the sequences, which the pass extends; None: nothing precedes them.

    Raises
    ------
    OutOfMemoryError
        If memory runs out; the message says what to lower.
    """
    import torch

    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    before = {} if cache is None else {"past_key_values": cache}
    with torch.inference_mode(), _enough_memory(ids), captured(lm.model, hook, stop=True) as activations:
        lm.model(input_ids=ids, use_cache=cache is not None, **before)
    return _first_pass(activations, hook)


def _first_pass(activations: list[torch.Tensor], hook: Hook) -> torch.Tensor:
    """Return the activations of the first pass, of shape (rows, positions, width); UserError if there is none."""
    if not activations:
        raise UserError(
            f"hook {hook.name!r}: the model never calls {hook.path!r}. Give the path of a module inside it."
        )
    return activations[0].flatten(start_dim=2)


@dataclass(frozen=True)
class Start:
    """Tokens with which several sequences begin, read once up to the hook."""

    keys_values: list[tuple[torch.Tensor, torch.Tensor]]
    """Keys and values of each layer below the hook, of shape (1, heads, tokens, head width)."""
    activations: torch.Tensor
    """At the hook, of shape (tokens, width)."""

    def __len__(self) -> int:
        return len(self.activations)


def cache_start(lm: LanguageModel, hook: Hook, ids: np.ndarray) -> Start:
    """Read the tokens ``ids``, with which several sequences begin; raises as :func:`read_hook`."""
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache()
    activations = read_hook(lm, hook, [ids], cache)[0]
    return Start([(layer.keys, layer.values) for layer in cache.layers], activations)


def read_after(lm: LanguageModel, hook: Hook, start: Start, sequences: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Return the activations at the hook of sequences that all begin with ``start``; only the rest is read.

    Returns
    -------
    list of torch.Tensor
        One for each sequence, of shape (>= tokens, width); what follows its tokens is padding.
    """
    import torch
    from transformers.cache_utils import DynamicCache

    if not start.keys_values:  # nothing below the hook attends, and some models count positions by the cache
        return list(read_hook(lm, hook, sequences))
    rests = [sequence[len(start) :] for sequence in sequences]
    rows = len(sequences)
    copies = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in start.keys_values]
    activations = read_hook(lm, hook, rests, DynamicCache(copies))
    return [torch.cat([start.activations, row]) for row in activations]


def hook_width(lm: LanguageModel, hook: Hook) -> int:
    """Return the width of the activations at the hook, by a pass of the whole model over one token.

    Raises
    ------
    UserError
        If the model fails on this token (so that later failures can be blamed on an input), or never calls the hook.
    MachineError
        If memory runs out, or the device fails.
    """
    import torch

    ids = torch.full((1, 1), lm.pad_id, device=lm.device)
    try:
        with torch.inference_mode(), _enough_memory(ids), captured(lm.model, hook, stop=False) as activations:
            lm.model(input_ids=ids, use_cache=False)
    except CompetencyGapsError:
        raise
    except Exception as error:
        if fault := device_fault(error):
            raise fault from error
        raise UserError(
            f"the model {lm.name!r} fails on a single token: {error_line(error)}. Check that its files are complete "
            "and that the installed transformers and torch can run it here."
        ) from error
    return int(_first_pass(activations, hook).shape[-1])


@contextmanager
def _enough_memory(ids: torch.Tensor) -> Iterator[None]:
    """Turn "out of memory" within the ``with`` into an error that says what to lower."""
    try:
        yield
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        rows, longest = ids.shape
        raise OutOfMemoryError(
            f"memory ran out on a batch of {rows} x {longest} tokens. Lower batch_tokens and repeat the command: "
            f"finished work is kept."
        ) from error
