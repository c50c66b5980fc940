"""What a run says: slices that explain outcomes, models side by side, coverage, and whether it holds up."""
