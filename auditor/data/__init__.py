"""The data as an audit sees it: decoded images, features, splits, the trusted reference, and what has changed."""
