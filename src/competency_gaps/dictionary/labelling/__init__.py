"""Label concepts: by a model that reads exemplars, or from the exemplars' words; and score the labels."""
