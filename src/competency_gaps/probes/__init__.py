"""Fresh items for a model, which test whether a concept's weakness or strength holds."""
