"""TODO auditor.pipeline."""
