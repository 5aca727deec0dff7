"""TODO auditor.system."""
