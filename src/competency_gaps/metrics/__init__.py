"""Coverage, performance and structure: NumPy and SciPy on sparse rows, no model needed.

``chi_bench`` and ``chi_model`` also work on plain arrays::

    sums = Sums.of(cas, scores)            # csr_array (items, concepts), NaN = unscored
    chi_model(sums)                        # per concept, NaN = undefined
    chi_bench(sums, alive=sums.cas > 0)
"""
