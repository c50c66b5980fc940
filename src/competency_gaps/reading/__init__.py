"""From a model's activations, encoded by its SAE, to one sparse row of concepts per item, in memory and on disk."""
