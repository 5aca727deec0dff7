"""`python -m auditor.cli`, the same command."""

from __future__ import annotations

from auditor.cli.commands import main

main()
