"""Naming concepts: by an explainer that reads exemplars, or from the exemplars' words; and how far names hold."""
