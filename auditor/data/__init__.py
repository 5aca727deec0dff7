"""TODO auditor.data."""
