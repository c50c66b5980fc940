"""Themes: thousands of concepts as a hierarchy that people can read, and a map of it."""
