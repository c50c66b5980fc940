"""What the page reads of a run, but for its tables: the one definition of it.

``frontend/src/data/types.ts`` is written from these records (``python -m competency_gaps.explorer.types``), and
``plain.as_json`` writes them. None means undefined or not known. Floats have 7 significant digits, as many as a
float32; in an export's details of concepts and its concepts of items they have 4.
"""
