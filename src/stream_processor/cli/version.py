"""`version`: what is installed, for a report of a problem."""

from __future__ import annotations

import platform
from importlib import metadata

from stream_processor import __version__
from stream_processor.cli.options import AsJson
from stream_processor.cli.output import say_columns, say_json

_LIBRARIES = ("confluent-kafka", "deltalake", "obstore", "pyarrow", "msgspec", "pydantic")


def version(*, as_json: AsJson = False) -> None:
    """Show the version of stream-processor and of what it stands on."""
    from stream_processor.processor.native.library import decoder_name

    versions = {"stream-processor": __version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _LIBRARIES}
    versions["decoder"] = decoder_name()
    if as_json:
        say_json(versions)
        return
    say_columns(versions.items())
