"""One training, from candidate to network: `fit.fit`, for trials and for the winner alike.

Import from the modules: `weights` and `predict` need no Lightning, and half of a stage's start is Lightning's import.
"""
