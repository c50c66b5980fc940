"""Load a causal language model and its tokenizer with transformers, in the precision that is fastest here."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.embedded import embedded_model
from competency_gaps.items.config import ModelConfig
from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


_OF_A_COPY = ("transformers_version", "dtype", "torch_dtype", "quantization_config")
"""Settings of a stored copy (how and with what it was written), which do not change the model."""
_HASH_THREADS = 8
"""Most tensors that are hashed at once."""
_NUMBERS_PER_COPY = 2**22
"""Most numbers of a tensor that are copied from a GPU at once, to be hashed."""
MIN_HASHED_NUMBERS = 256
"""Size of the sample of each parameter that is hashed, at least (or the whole parameter, if smaller)."""
_PACKAGES = (
    *("competency-gaps", "torch", "transformers", "sae-lens", "numpy", "scipy", "polars", "reasoning-gym"),
    *("lm-eval", "inspect-ai"),
)
"""Packages whose version can change a result."""


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model with its tokenizer and identity."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    """The name as the user gives it."""
    identity: dict[str, Any]
    """For the manifest: class, sizes, dtype, device, revision, hashes of the weights and of the vocabulary."""
    max_length: int
    """Longest input in tokens."""

    @property
    def device(self) -> torch.device:
        """Device of the model's input embeddings, where its input must be."""
        return self.model.get_input_embeddings().weight.device

    @property
    def pad_id(self) -> int:
        """Id of the padding token. It has no effect: padding before a text is masked, padding after it unattended."""
        # Some tokenizers have a padding token that was added later and has no embedding.
        known = len(self.model.get_input_embeddings().weight)
        usable = [i for i in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if i is not None and i < known]
        return int(usable[0]) if usable else 0


def load_model(config: ModelConfig, *, progress: Progress | None = None) -> LanguageModel:
    """Return the model that a configuration names, ready to run, with its tokenizer.

    Parameters
    ----------
    progress
        Shows the download of an embedded model.

    Raises
    ------
    MissingExtraError
        If torch or transformers is not installed.
    UserError
        If there is no such model, its tokenizer is too slow to give offsets, or it needs code of its own.
    """
    with needed(None, "run", "Running a model"):
        import torch
        from transformers import AutoModelForCausalLM
    device = chosen_device(config.device)
    # Straight onto a GPU: the machine's memory need not hold the weights.
    device_map = config.device_map or (device if device.startswith("cuda") else None)
    optional = {"attn_implementation": config.attn_implementation or None, "device_map": device_map}
    options: dict[str, Any] = {key: value for key, value in optional.items() if value is not None}
    options["dtype"] = getattr(torch, chosen_dtype(config.dtype, device))
    with _loading(config.name):
        source, common = _source(config, progress)
        if "gguf_file" in common:
            options["quantization_config"] = _dense_gguf()
        model = AutoModelForCausalLM.from_pretrained(source, **common, **options)
    tokenizer = load_tokenizer(config, progress=progress)
    model.eval()
    if config.device_map is None:
        model.to(device)
    torch.set_grad_enabled(False)
    limit = _context(model, tokenizer)
    max_length = min(limit, config.max_length) if config.max_length else limit
    return LanguageModel(model, tokenizer, config.name, _identity(config, model, tokenizer), max_length)


def load_tokenizer(config: ModelConfig, *, progress: Progress | None = None) -> PreTrainedTokenizerBase:
    """Return the tokenizer alone, enough to build prompts; raises as :func:`load_model`."""
    with needed(None, "run", "Running a model"):
        from transformers import AutoTokenizer
    with _loading(config.name):
        source, options = (config.tokenizer, {}) if config.tokenizer else _source(config, progress)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, **options)
    if not tokenizer.is_fast:
        raise UserError(
            f"model {config.name!r}: its tokenizer gives no offsets; a fast tokenizer is needed to find spans."
        )
    return tokenizer


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Turn transformers' errors within the ``with`` into an error that says what a model may be."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        why = str(error).strip().partition("\n")[0]
        raise UserError(
            f"model {name!r} cannot be loaded: {why} "
            f"Expected a hub id that this machine can reach, a folder saved by transformers, or a .gguf file."
        ) from error


def _source(config: ModelConfig, progress: Progress | None) -> tuple[str, dict[str, Any]]:
    """Return the hub id or folder that transformers loads, and its options for model and tokenizer.

    Raises
    ------
    UserError
        If there is no such embedded model or file.
    """
    name = config.name
    options: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
    if config.revision is not None:
        options["revision"] = config.revision
    if name.startswith("embedded:"):
        return str(embedded_model(name, _unpack, progress)), options
    path = Path(name).expanduser()
    if not name.endswith(".gguf"):
        return (str(path) if path.is_dir() else name), options
    if not path.is_file():
        raise UserError(f"model {name!r}: there is no such file.")
    return str(path.parent), {**options, "gguf_file": path.name}


def _unpack(file: Path, folder: Path) -> None:
    """Write a GGUF file's model as plain float32 matrices, with its tokenizer, into a folder.

    In float32 nothing is lost: rounded to another precision, they equal what the file gives in it.
    """
    lm = load_model(ModelConfig(name=str(file), dtype="float32", device="cpu"))
    lm.model.hf_quantizer = None  # its weights are plain numbers now
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)


def _dense_gguf() -> Any:
    """Return settings that unpack GGUF blocks; None if transformers always unpacks them."""
    # transformers 5 keeps GGUF blocks packed, which is several times slower for batches on a CPU
    # than plain matrices in bfloat16; older versions always unpack and have no such option.
    try:
        from transformers import GgufConfig
    except ImportError:
        return None
    return GgufConfig(dequantize=True)


def chosen_device(device: str) -> str:
    """Return torch's name of the configured device; for ``auto`` the first GPU, else the CPU.

    Raises
    ------
    UserError
        If there is no such device here.
    """
    with needed("torch", "run", "Running a model"):
        import torch

    if device != "auto":
        try:
            kind = torch.device(device).type
        except RuntimeError as error:
            raise UserError(f"model.device {device!r} is not a torch device. Give cpu, cuda, cuda:1 or mps.") from error
        if kind == "cuda" and not torch.cuda.is_available():
            raise UserError(f"model.device {device!r}: torch finds no such GPU here. Give device: cpu, or auto.")
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def chosen_dtype(dtype: str, device: str) -> str:
    """Return torch's name of the configured data type; for ``auto`` the faster of bfloat16 and float32."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if fast_bfloat16(device) else "float32"


def _context(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the largest number of tokens that model and tokenizer accept; 2,048 if neither states one."""
    config = text_config(model)
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    known = [int(limit) for limit in limits if limit]
    # Tokenizers without a limit give 10^30.
    if tokenizer.model_max_length and tokenizer.model_max_length < 10**9:
        known.append(int(tokenizer.model_max_length))
    return min(known) if known else 2048


def _identity(config: ModelConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what the manifest records about the model and its tokenizer."""
    vocabulary = hashlib.sha256()
    for token, index in sorted(tokenizer.get_vocab().items(), key=lambda pair: (pair[1], pair[0])):
        vocabulary.update(f"{index}\t{token}\n".encode())
    return {
        "name": config.name,
        "revision": config.revision or getattr(model.config, "_commit_hash", None),
        "class": type(model).__name__,
        "hidden_size": int(text_config(model).hidden_size),
        "layers": int(text_config(model).num_hidden_layers),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.get_input_embeddings().weight.device),
        "weights_sha256": weights_hash(model),
        "content_sha256": content_hash(model),
        "settings_sha256": _text_hash(json.dumps(_settings(model), sort_keys=True)),
        "tokenizer": {
            "class": type(tokenizer).__name__,
            "vocabulary_size": len(tokenizer),
            "vocabulary_sha256": vocabulary.hexdigest(),
            "chat_template_sha256": _text_hash(tokenizer.chat_template),
        },
    }


def weights_hash(model: torch.nn.Module) -> str:
    """Return the SHA-256 over names, shapes and a strided sample of every parameter, in float32.

    It identifies the model in a dictionary, as it does not depend on the data type in which weights are stored.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().reshape(-1)
        stride = max(1, flat.numel() // MIN_HASHED_NUMBERS)
        # A stride with a common divisor with the row's length would skip most columns.
        while tensor.dim() and math.gcd(stride, tensor.shape[-1]) > 1:
            stride += 1
        sample = flat[::stride].to("cpu", torch.float32)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def content_hash(model: torch.nn.Module) -> str:
    """Return the SHA-256 over names, types, shapes and every number of the weights; changes with any of them.

    Tensors are hashed in threads, about 1 GB/s in each.
    """
    import torch

    def digest(tensor: torch.Tensor) -> str:
        hash_ = hashlib.sha256()
        for part in tensor.detach().reshape(-1).split(_NUMBERS_PER_COPY):
            hash_.update(part.to("cpu").view(torch.uint8).numpy())
        return hash_.hexdigest()

    state = sorted(model.state_dict().items())
    with ThreadPoolExecutor(min(_HASH_THREADS, os.cpu_count() or 1)) as pool:
        digests = pool.map(digest, (tensor for _, tensor in state))
        facts = [
            f"{name} {tensor.dtype} {tuple(tensor.shape)} {digest_}\n"
            for (name, tensor), digest_ in zip(state, digests, strict=True)
        ]
    return hashlib.sha256("".join(facts).encode()).hexdigest()


def _settings(model: PreTrainedModel) -> dict[str, Any]:
    """Return the settings that may change the model's results, and its end tokens, as plain JSON."""
    config: dict[str, Any] = json.loads(model.config.to_json_string(use_diff=False))
    ends = getattr(model.generation_config, "eos_token_id", None)
    settings: dict[str, Any] = _without_copy(config)
    return {**settings, "ends_generation": ends}


def _without_copy(settings: Any) -> Any:
    """Return settings, also those of a model's parts, without those in ``_OF_A_COPY``."""
    if not isinstance(settings, dict):
        return settings
    kept = {name: value for name, value in settings.items() if not name.startswith("_") and name not in _OF_A_COPY}
    return {name: _without_copy(value) for name, value in kept.items()}


def _text_hash(text: str | dict[str, str] | None) -> str | None:
    """Return the SHA-256 of a text; None without one."""
    return None if text is None else hashlib.sha256(str(text).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that can change a result."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


_MEASURED_PRODUCTS = 40
"""Number of matrix products that are timed in each precision."""
_MIN_SPEEDUP = 1.2
"""Least speed-up of products in bfloat16 at which bfloat16 is chosen; other operations are slower in it."""


def text_config(model: PreTrainedModel) -> Any:
    """Return the configuration of the language part of a model."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def fast_bfloat16(device: str) -> bool:
    """Return whether a model runs faster in bfloat16 than in float32 on a device.

    On a CPU it is measured, because processors differ: some multiply bfloat16 in tiles, several times faster than
    float32, others emulate it, fifty times slower.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and _gain() > _MIN_SPEEDUP


@functools.cache
def _gain() -> float:
    """Return how much faster a matrix product of a language model's shape is in bfloat16 than in float32."""
    import torch

    kinds = (torch.float32, torch.bfloat16)
    factors = [[torch.ones(size, 1024, dtype=kind) for size in (128, 1024)] for kind in kinds]
    best = [float("inf")] * 2
    for number in range(_MEASURED_PRODUCTS):
        for i, (a, b) in enumerate(factors):  # in turns, so that other load slows both
            begin = time.perf_counter()
            a @ b
            best[i] = min(best[i], time.perf_counter() - begin)
        if number > 2 and best[1] > 3 * best[0]:
            break  # emulated
    return best[0] / best[1]
