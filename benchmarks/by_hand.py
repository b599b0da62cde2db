"""What the benchmarks that are run by hand share: their two words, a MinIO and a bucket.

Each measures in a process of its own (`children.measured` on the script itself), since the memory
of the one that built the tables is no measure.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stream_processor.config.pipeline import StorageConfig
from stream_processor.operations.local_stack import Credentials, create_bucket, start_minio


def storage() -> StorageConfig:
    """The store that the environment names."""
    return StorageConfig(
        endpoint=os.environ["S3_ENDPOINT"],
        access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
    )


def new_bucket(prefix: str) -> str:
    """On the store that the environment names; its name begins with the prefix."""
    bucket = f"{prefix}-{time.time_ns()}"
    keys = Credentials(os.environ["S3_ACCESS_KEY_ID"], os.environ["S3_SECRET_ACCESS_KEY"])
    create_bucket(os.environ["S3_ENDPOINT"], keys, bucket)
    return bucket


def ask_on_minio(run: Callable[[int], Mapping[str, Any]], size_if_absent: int) -> None:
    """`SCRIPT [SIZE] [RESULT.json]` on the store that the environment names, else on our own."""
    with tempfile.TemporaryDirectory() as folder:
        if "S3_ENDPOINT" in os.environ:
            ask(run, size_if_absent)
            return
        with start_minio(Path(folder) / "minio") as minio:
            os.environ["S3_ENDPOINT"] = minio.endpoint
            os.environ["S3_ACCESS_KEY_ID"] = minio.access_key
            os.environ["S3_SECRET_ACCESS_KEY"] = minio.secret_key
            ask(run, size_if_absent)


def ask(run: Callable[[int], Mapping[str, Any]], size_if_absent: int) -> None:
    """`SCRIPT [SIZE] [RESULT.json]`: measure, print, and store where a file is named."""
    text = json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else size_if_absent), indent=2)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text + "\n")
    print(text)
