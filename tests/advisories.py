"""`make audit-deps`: known vulnerabilities of the installed packages, or a clear word that nobody could be asked.

`pip-audit` alone says "No known vulnerabilities found" and ends with 0 where the index it asks (a mirror without
advisories, no network) knows none of the packages. Here that is an error: 0 means that every package was asked about
and none is known to be vulnerable, 1 that some are, 2 that some or all could not be asked about.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHOWN = 5


def installed() -> list[str]:
    """`name==version` of all packages but our own, local labels left out: advisories know torch 2.13.0, not +cpu."""
    found = {
        (str(package.metadata["Name"]), package.version.partition("+")[0])
        for package in importlib.metadata.distributions()
    }
    return sorted(f"{name}=={version}" for name, version in found if name != "auditor")


def judge(document: dict[str, Any]) -> tuple[str, int]:
    """The sentences for a person and the exit code, from pip-audit's JSON."""
    packages = document["dependencies"]
    unasked = sorted(p["name"] for p in packages if "skip_reason" in p)
    vulnerable = [p for p in packages if p.get("vulns")]
    lines = [
        f"{p['name']} {p['version']}: {v['id']}, repaired in {', '.join(v['fix_versions']) or 'no version yet'}"
        for p in vulnerable
        for v in p["vulns"]
    ]
    if vulnerable:
        lines.append(f"{len(vulnerable)} of {len(packages)} packages have known vulnerabilities")
    if unasked and len(unasked) == len(packages):
        lines.append("nothing was audited: the package index has no advisory data about any package")
        lines.append("  run it where https://pypi.org can be reached")
    elif unasked:
        more = f" and {len(unasked) - SHOWN} more" if len(unasked) > SHOWN else ""
        lines.append(f"{len(unasked)} of {len(packages)} packages were not audited: {', '.join(unasked[:SHOWN])}{more}")
    if not lines:
        lines.append(f"no known vulnerability in {len(packages)} packages")
    return "\n".join(lines), 1 if vulnerable else 2 if unasked else 0


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(installed()) + "\n", encoding="utf-8")
        words = ["-r", str(listed), "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
        asked = subprocess.run([sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True, check=False)
    try:
        text, code = judge(json.loads(asked.stdout))
    except (ValueError, KeyError, TypeError):
        last = (asked.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
        text, code = f"nothing was audited: {last}\n  run it where https://pypi.org can be reached", 2
    print(text, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
