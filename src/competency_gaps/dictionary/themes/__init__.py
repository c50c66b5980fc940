"""Themes: thousands of concepts as a hierarchy that people can read, and a map of it."""

from competency_gaps.dictionary.themes.cluster import ThemeTree, find_themes
from competency_gaps.dictionary.themes.features import theme_features
from competency_gaps.dictionary.themes.names import ThemeNames, automatic_names
from competency_gaps.dictionary.themes.store import name_table, read_themes, theme_table, write_themes

__all__ = [
    "ThemeNames",
    "ThemeTree",
    "automatic_names",
    "find_themes",
    "name_table",
    "read_themes",
    "theme_features",
    "theme_table",
    "write_themes",
]
