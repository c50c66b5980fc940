"""The embedded model as a folder that other tools load: python embedded_model.py FOLDER."""

import sys

from competency_gaps import load_model

lm = load_model("embedded")
for part in (lm.tokenizer, lm.model):
    part.save_pretrained(sys.argv[1])
