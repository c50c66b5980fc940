"""The explorer's server: one machine, one user, read-only."""
