"""What the readers of all tools use."""
