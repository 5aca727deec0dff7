"""`python -m auditor`, the same command."""

from __future__ import annotations

from auditor.cli.commands import main

main()
