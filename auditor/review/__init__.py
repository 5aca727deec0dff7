"""TODO auditor.review."""
