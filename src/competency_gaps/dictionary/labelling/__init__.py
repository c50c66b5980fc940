"""Label concepts: by a model that reads exemplars, or from the exemplars' words; and score the labels."""

from typing import Literal

Step = Literal["automatic", "subjects", "explain", "detection"]
WITHOUT_MODEL = ("automatic", "subjects")
"""Steps that ask no language model."""
