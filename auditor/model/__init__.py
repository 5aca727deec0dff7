"""TODO auditor.model."""
