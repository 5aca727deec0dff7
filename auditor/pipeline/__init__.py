"""The audit itself: what is refused, what is read, the stages in order, and what a result is made of."""
