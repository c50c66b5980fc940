"""The embedded model as a folder that other tools load: python embedded_model.py FOLDER."""

import sys

from competency_gaps import load_model

lm = load_model("embedded")
lm.model.hf_quantizer = None  # its weights are plain numbers now
for part in (lm.tokenizer, lm.model):
    part.save_pretrained(sys.argv[1])
