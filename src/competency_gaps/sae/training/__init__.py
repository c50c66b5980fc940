"""Train an SAE with SAELens' trainer: texts -> cached activations -> SAE -> pack with its card."""
