"""New items for a model: garak's attacks, and fresh items that test whether a concept's weakness holds."""
