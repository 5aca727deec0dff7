"""The same images give the same ranking byte for byte, whatever holds them: a folder, zip, tar, Parquet or S3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from helpers import small_audit
from hostile import png
from stores import BUCKET, put, s3_server
from test_archives import CLASSES, folder, tarred, zipped

if TYPE_CHECKING:
    from click.testing import Result

FILES = {f"{label}/{n:02d}.png": png(4 * n + level) for label, level in CLASSES for n in range(16)}


def parqueted(path: Path) -> Path:
    """The files as the Hub embeds images in a Parquet file."""
    kinds = [
        arrow.field("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])),
        arrow.field("label", arrow.string()),
    ]
    values = [[{"bytes": data, "path": name} for name, data in FILES.items()], [name[:3] for name in FILES]]
    parquet.write_table(arrow.table(values, schema=arrow.schema(kinds)), path)
    return path


def test_the_same_images_give_the_same_ranking_from_folder_zip_tar_parquet_and_s3(
    tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tiny: None
) -> None:
    with s3_server(monkeypatch) as client:
        put(client, FILES, "same/")
        sources = {
            "folder": folder(tmp_path / "set", FILES),
            "zip": zipped(tmp_path / "set.zip", FILES),
            "tar": tarred(tmp_path / "set.tar", FILES, "set/"),
            "parquet": parqueted(tmp_path / "set.parquet"),
            "s3": f"s3://{BUCKET}/same",
        }
        rankings = {}
        for kind, source in sources.items():
            cache = tmp_path / "caches" / kind  # none takes over what another has read
            done = run_cli(*small_audit(source, tmp_path / f"{kind}-out", "--cache", str(cache)))
            assert done.exit_code == 0, f"{kind}: {done.stderr}"
            rankings[kind] = (tmp_path / f"{kind}-out" / "ranking.csv").read_bytes()
    assert all(ranking == rankings["folder"] for ranking in rankings.values())
    assert rankings["folder"].count(b"\n") == len(FILES) + 1
