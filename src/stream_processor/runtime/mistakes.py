"""An exception that nobody expected, as one of ours."""

from __future__ import annotations

from stream_processor.errors import InternalError


def as_internal(error: Exception) -> InternalError:
    """Where it happened, but never its text, which may hold a payload. Used by the engine."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    internal = InternalError(
        f"a mistake of ours: {type(error).__name__} at {place}",
        hint="nothing was lost; please report this line",
    )
    internal.__cause__ = error
    return internal
