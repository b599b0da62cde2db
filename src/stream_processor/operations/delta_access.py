"""How every operation reaches the Delta library's store."""

from __future__ import annotations

import os

from stream_processor.config.pipeline import StorageConfig
from stream_processor.runtime.object_store import ca_environment, delta_storage_options


def delta_options(storage: StorageConfig) -> dict[str, str]:
    """The library's storage options, with the store's private authority trusted.

    The library takes that from the environment only (delta-rs #4246), so it is set here, where
    everyone passes who calls it. Holds secrets in the clear: never log it.
    """
    os.environ.update(ca_environment(storage))
    return delta_storage_options(storage)
