"""Which model is read, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from competency_gaps.config.base import Config

DType = Literal["auto", "float32", "bfloat16", "float16"]


class ModelConfig(Config):
    """A causal language model of transformers."""

    name: str
    """Hub id, folder, ``.gguf`` file, or ``embedded:smollm2-135m-instruct``."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    tokenizer: str | None = None
    """Hub id or folder of the tokenizer, where it is not the model's own."""
    dtype: DType = "auto"
    """``auto``: bfloat16 where the CPU or GPU is fast in it, else float32."""
    device: str = "auto"
    """``auto``: the first GPU, else the CPU."""
    device_map: str | dict[str, int | str] | None = None
    """accelerate's device map, to spread a large model over several GPUs; replaces ``device``."""
    trust_remote_code: bool = False
    """Run code that comes with the model. Off unless you have read that code."""
    attn_implementation: str | None = None
    """transformers' attention implementation; None: the model's default."""
    chat_template: Literal["auto", "on", "off"] = "auto"
    """``auto``: on for generated answers if the tokenizer has a template, off for log-likelihoods."""
    system_prompt: str | None = None
    """System message put before each item when the chat template is on."""
    bos: str = "auto"
    """First token of an untemplated prompt: ``auto`` (as the SAE was trained), ``none``, or the token itself."""
    max_length: Annotated[int, Field(gt=0)] | None = None
    """Longest prompt in tokens; None: the model's context. Longer items are excluded, never cut."""
