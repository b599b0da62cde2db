"""What the default pipeline file does is said by variables alone: local, or a real Kafka.

The local mode is never a fall-back: as soon as one variable of Kafka is set, all that are needed
must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from stream_processor.runtime.config_problems import InvalidConfiguration, Problem

KAFKA = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPICS")
LAKEHOUSE = "LAKEHOUSE"
S3_KEYS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
S3 = ("S3_ENDPOINT", *S3_KEYS, "S3_REGION")
PROFILE = "STREAM_PROCESSOR_PROFILE"

_PLACE = "environment"


class Mode(Enum):
    """What runs when no pipeline file is named."""

    LOCAL = "local"
    """The built-in Kafka with invented orders."""
    REAL = "real"
    """The Kafka that the variables name."""


def default_mode(environment: Mapping[str, str]) -> Mode:
    """Judge by the variables of the default file whether it runs locally or on a real Kafka.

    Called by the composition root before it loads the default file; in local mode it then passes an
    environment that names the built-in Kafka. An empty variable counts as not set; `NAME_FILE`
    counts for NAME. Raises `InvalidConfiguration` that names each variable that is missing.
    """
    mode = Mode.REAL if any(_is_set(environment, name) for name in KAFKA) else Mode.LOCAL
    problems: list[Problem] = []
    if mode is Mode.REAL:
        problems += _missing(KAFKA, environment, "it is needed together with {}")
    if _is_lake_in_s3(environment):
        problems += _missing(S3_KEYS, environment, "an s3:// LAKEHOUSE needs it")
    profile = environment.get(PROFILE, "")
    if profile not in {"", "development", "production"}:
        problems.append(Problem(_PLACE, 0, 0, f"{PROFILE} can be production or development"))
    if profile == "production" and mode is Mode.LOCAL:
        message = f"{KAFKA[0]} is not set: {PROFILE}=production refuses the local mode"
        hint = f"export {KAFKA[0]} and {KAFKA[1]}, or name a pipeline file"
        problems.append(Problem(_PLACE, 0, 0, message, hint=hint))
    if problems:
        raise InvalidConfiguration(problems)
    return mode


def check_default_variables(environment: Mapping[str, str]) -> tuple[Problem, ...]:
    """Apply the rule of `default_mode` and return its warnings; called before the file is read."""
    default_mode(environment)
    if _is_lake_in_s3(environment):
        return ()
    unused = [name for name in S3 if _is_set(environment, name)]
    if not unused:
        return ()
    message = f"ignored, since LAKEHOUSE is not an s3:// address: {', '.join(unused)}"
    return (Problem(_PLACE, 0, 0, message, severity="warning"),)


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))


def _is_lake_in_s3(environment: Mapping[str, str]) -> bool:
    return environment.get(LAKEHOUSE, "").startswith("s3://")


def _missing(names: tuple[str, ...], environment: Mapping[str, str], why: str) -> list[Problem]:
    """A problem for each of the names that is not set, where all of them must be."""
    return [
        Problem(
            _PLACE,
            0,
            0,
            f"{name} is not set: {why.format(', '.join(sorted(set(names) - {name})))}",
            hint=f"export {name}",
        )
        for name in names
        if not _is_set(environment, name)
    ]
