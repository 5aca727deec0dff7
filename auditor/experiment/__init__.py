"""TODO auditor.experiment."""
