"""Train an SAE with SAELens' trainer: texts -> cached activations -> SAE -> pack with its card."""

from competency_gaps.sae.training.train import train_sae

__all__ = ["train_sae"]
