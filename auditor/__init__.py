"""auditor: which labels in this data set are wrong, and how far can the list be trusted?

>>> import auditor
>>> result = auditor.audit("photos/", weights="none", train="full")   # doctest: +SKIP
>>> result.ranking.head()                                             # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor._version import __version__
from auditor.errors import AuditorError, ExitCode

if TYPE_CHECKING:
    from auditor.result import AuditResult


__all__ = ["AuditorError", "ExitCode", "__version__", "audit"]


def audit(
    source: object = None,
    *,
    features: Any = None,
    labels: Any = None,
    probabilities: Any = None,
    items: Any = None,
    groups: Any = None,
    backbone: Any = None,
    out: str | Path | None = None,
    download: bool = False,
    **settings: Any,
) -> AuditResult:
    """Audit a data set; the same thing as the command `auditor audit`.

    Parameters
    ----------
    source
        A folder, a manifest or whatever else an installed source accepts; a pandas DataFrame with the columns of a
        manifest; a torch data set of (image, label); a Hugging Face data set. None where `features` or
        `probabilities` say all there is.
    features
        float [N, D] of a model of yours: an array, a tensor, a DataFrame or a file. One row an item.
    labels
        One label an item.
    probabilities
        float [N, C] of a model that did not learn from the item, columns in the sorted order of the class names; or an
        estimator of scikit-learn, which learns from `features` by cross-validation.
    items
        One name an item. Pictures are shown where a name is a file.
    groups
        One name an item: items of one name belong together, as copies do.
    backbone
        The name of a network, or a `torch.nn.Module`, or a pair of module and transform.
    out
        Write the audit's files and the report there.
    download
        Allow fetching ImageNet's weights.
    **settings
        The command's options with underscores, such as `noise_rate=0.1`, `weights="none"`, `quiet=True`.

    Returns
    -------
    AuditResult
        With the data frames `ranking` and `planted`, and the summary that becomes `audit.json`.

    Raises
    ------
    AuditorError
        Whose message says what was wrong, where, and what to do next.
    """
    # Of use where torch is not loaded yet: on a busy machine threads that spin for each other cost ten times as much.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch takes seconds to import. Those who only read a result never need it.
    from auditor.session import call
    from auditor.sources.objects import Objects

    asked = {"quiet": True, **settings}
    return call(source, Objects(features, probabilities, labels, items, groups), backbone, asked, out, download)
