"""TODO auditor.influence.pydvl."""
