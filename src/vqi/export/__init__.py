"""A model as one file of a run time without Python: from the photograph's pixels to score, verdict, p-value and map."""
