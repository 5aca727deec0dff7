"""The report's page, style and scripts, inlined into one file by `auditor.report`; data files, no code."""
