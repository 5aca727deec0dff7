"""Sentences that terminal, page, files and gate share, word for word."""

from __future__ import annotations

CANNOT_TELL = "cannot tell without looks"
"""What the model says where it has no answer."""

NO_ANSWER = "The model {cannot_tell} how many {labels} are wrong: between {low} and {high}"
"""The whole sentence, without its full stop. `labels` is "labels", or "of the 200 labels in photos"."""
