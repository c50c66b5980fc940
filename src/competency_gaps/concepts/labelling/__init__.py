"""Label concepts: by a model that reads exemplars, or from the exemplars' words; and score the labels."""

from typing import Literal

Step = Literal["automatic", "explain", "detection"]
"""Ways to make or score labels; all but the first ask a language model."""
