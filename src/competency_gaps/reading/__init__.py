"""A model's activations through its SAE: from tokens to one sparse row of concepts per item, in memory and on disk."""
