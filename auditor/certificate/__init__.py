"""How many labels are wrong, as looks by people prove it: which items are drawn, and the bounds that follow.

Nothing here believes a model. Its scores only decide how often an item is drawn, which makes a bound narrower and never
wrong.
"""
