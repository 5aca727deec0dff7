"""The `auditor` command: parse, call, print, exit code. It does no work of its own.

Results go to standard output, talk to standard error. Imports of torch wait inside the commands that need it, so that
`auditor gate` and `auditor report` start at once.
"""

from __future__ import annotations

from auditor.cli.commands import main

__all__ = ["main"]
