"""What a step of a transform looks like: one thing at a time."""

from __future__ import annotations

from collections.abc import Iterator

from stream_processor.config.findings import Finding, Rule
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.transform import VERBS

_ONE_VERB = f"expected one of {', '.join(VERBS[:-1])} or {VERBS[-1]}, with a value"


def _steps(pipeline: Pipeline) -> Iterator[Finding]:
    for index, step in enumerate(pipeline.transform):
        path = ("transform", index)
        if len(step.verbs) != 1:
            hint = "steps are run in the order of the list, so each is an entry of its own"
            yield Finding(path, _ONE_VERB, hint)
        elif step.key is not None and "sha256" not in step.mask.values():
            yield Finding((*path, "key"), "means nothing without a mask by sha256")


TRANSFORM_RULES = (Rule((), Pipeline, ("transform",), _steps),)
