"""The report's page, style and scripts. `auditor.report` puts them into one file. Data files, no code."""
