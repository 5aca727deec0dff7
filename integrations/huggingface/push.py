"""Puts a cleaned data set onto the Hugging Face Hub, as an imagefolder with metadata.jsonl.

pip install huggingface_hub && hf auth login       # or HF_TOKEN
auditor review apply OUT decisions.json            # writes OUT/reviewed
python push.py OUT/reviewed OWNER/NAME             # a private data set; --dry-run only writes metadata.jsonl
auditor audit hf://datasets/OWNER/NAME -o OUT2     # the same data, from there (pip install 'auditor[cloud]')
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

OURS = ["auditor-*.json", "review.json", "certificate.json", "cleaned.csv", "cleaned.jsonl"]
"""Files of the review that are no data. The ledger names people, so it stays here."""


def prepare(folder: Path) -> int:
    """Write metadata.jsonl from the cleaned manifest. The value is how many images it names."""
    lines = folder / "cleaned.jsonl"
    if lines.exists():
        rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    else:
        with (folder / "cleaned.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    missing = [row["path"] for row in rows if not (folder / row["path"]).is_file()]
    if missing:
        raise SystemExit(f"{folder} lacks {len(missing)} images, such as {missing[0]}: where do they lie?")
    entries = [
        {"file_name": row["path"].removeprefix("./"), "label": row["label"], "split": row["split"]} for row in rows
    ]
    text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return len(entries)


def push(folder: Path, repository: str) -> str:
    """Upload the folder into a data set of the Hub, which is made private where it is new. The value is its address."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
    done = api.upload_folder(
        folder_path=folder,
        repo_id=repository,
        repo_type="dataset",
        ignore_patterns=OURS,
        commit_message="Labels corrected by review",
    )
    return str(done)


def main(words: list[str]) -> None:
    """`FOLDER OWNER/NAME`, and `--dry-run` or not."""
    dry, plain = "--dry-run" in words, [word for word in words if word != "--dry-run"]
    if len(plain) != 2:
        raise SystemExit(__doc__)
    print(f"{prepare(Path(plain[0]))} images in {Path(plain[0]) / 'metadata.jsonl'}")
    if not dry:
        print(push(Path(plain[0]), plain[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
