"""Which model is read, which sparse autoencoder reads it, and how one is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from competency_gaps.embedded import EMBEDDED_MODEL, EMBEDDED_SAE
from competency_gaps.items.config.load import Config, Switch
from competency_gaps.util.errors import UserError

DType = Literal["auto", "float32", "bfloat16", "float16"]


def _named(whole: str) -> AfterValidator:
    """Return a validator that replaces ``embedded`` by the full name of the embedded model or SAE."""
    return AfterValidator(lambda name: whole if str(name) == "embedded" else name)


class ModelConfig(Config):
    """A causal language model of transformers."""

    name: Annotated[str, _named(EMBEDDED_MODEL)]
    """Hub id, folder, ``.gguf`` file, or ``embedded``."""
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
    chat_template: Switch = "auto"
    """``auto``: on for generated answers if the tokenizer has a template, off for log-likelihoods."""
    system_prompt: str | None = None
    """System message put before each item when the chat template is on."""
    bos: str = "auto"
    """First token of an untemplated prompt: ``auto`` (as the SAE was trained), ``none``, or the token itself."""
    max_length: Annotated[int, Field(gt=0)] | None = None
    """Longest prompt in tokens; None: the model's context. Longer items are excluded, never cut."""


class SAEConfig(Config):
    """A sparse autoencoder."""

    release: str | None = None
    """Release in SAELens' directory, or a hub repository."""
    id: str | None = None
    """SAE inside the release."""
    folder: Annotated[Path | str | None, _named(EMBEDDED_SAE)] = None
    """Folder that SAELens, dictionary_learning, sparsify or Llama Scope saved, or ``embedded``."""
    hook_name: str | None = None
    """Where the activations are read; None: at the SAE's own hook."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the encoder."""
    dictionary: Path | None = None
    """Folder with labels of its concepts and an atlas; None: the SAE's own folder, if it holds any."""
    force: bool = False
    """Run even if the sanity gate finds that the SAE does not fit the activations."""
    gate_tokens: Annotated[int, Field(ge=256)] = 16384
    """Tokens of the run that the sanity gate reads."""

    @model_validator(mode="after")
    def _one_place(self) -> SAEConfig:
        if (self.folder is None) == (self.release is None):
            raise ValueError("give either 'folder', or 'release' with 'id'")
        if self.release is not None and self.id is None:
            raise ValueError("'release' needs 'id', the SAE inside the release")
        return self


def sae_place(name: str) -> dict[str, str]:
    """Return the keys of :class:`SAEConfig` for an SAE named by one text.

    Parameters
    ----------
    name
        A folder, ``RELEASE/ID``, ``hub:OWNER/REPO/FOLDER`` or ``embedded``.

    Raises
    ------
    UserError
        If it is none of these.
    """
    if name.partition(":")[0] == "embedded" or Path(name).expanduser().is_dir():
        return {"folder": name}
    if name.startswith("hub:"):
        owner, repo, *folder = name.removeprefix("hub:").split("/")
        return {"release": f"{owner}/{repo}", "id": "/".join(folder) or "."}
    release, slash, sae_id = name.partition("/")
    if not slash:
        raise UserError(
            f"SAE {name!r}: expected a folder, RELEASE/ID of SAELens' directory, hub:OWNER/REPO/FOLDER, or "
            "embedded:NAME."
        )
    return {"release": release, "id": sae_id}


class TrainingConfig(Config):
    """How ``cgaps concepts train-sae`` makes an SAE; what is not set here is SAELens' default."""

    model: ModelConfig
    texts: Annotated[list[Path], Field(min_length=1)]
    """Parquet, JSONL or plain-text files; columns ``text`` and/or ``messages``."""
    heldout: list[Path] = []
    """Files for the figures of the card and the reference statistics; never trained on."""
    heldout_tokens: Annotated[int, Field(gt=0)] = 300_000
    """Tokens of them that are read."""
    hook_name: str
    architecture: str = "batchtopk"
    """One of SAELens' training architectures: ``batchtopk``, ``topk``, ``jumprelu``, ``standard``, ..."""
    d_sae: Annotated[int, Field(gt=1)] = 4096
    """Number of latents."""
    sae: dict[str, Any] = {}
    """More settings of the architecture, by SAELens' names: ``k`` (active latents), ``l0_coefficient``, ..."""
    tokens: Annotated[int, Field(gt=0)] = 5_000_000
    """Tokens that are trained on; texts that hold fewer are read again."""
    context: Annotated[int, Field(gt=1)] = 256
    """Longest piece of a document that the model reads at once, in tokens."""
    template_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the chat documents whose template tokens are trained on: they are the same everywhere."""
    batch: Annotated[int, Field(gt=0)] = 2048
    """Activations per training step."""
    lr: Annotated[float, Field(gt=0)] = 5e-4
    trainer: dict[str, Any] = {}
    """More settings of SAELens' ``SAETrainerConfig``, by its names."""
    seed: int = 0
