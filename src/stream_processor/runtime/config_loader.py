"""The one place that reads pipeline and schema files: everything wrong is reported at once.

The order of the work: parse with places, apply flags, resolve references, check types, check rules
between keys, then the schema file that the pipeline names, then the columns that both speak of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from stream_processor.config.fields import SchemaFile
from stream_processor.config.findings import Finding
from stream_processor.config.model_keys import KeyPath
from stream_processor.config.pipeline import DeadLetterConfig, Pipeline
from stream_processor.config.rules import RULES
from stream_processor.runtime.config_columns import check_columns, name_hooks
from stream_processor.runtime.config_mode import check_default_variables
from stream_processor.runtime.config_overrides import apply_overrides
from stream_processor.runtime.config_problems import (
    InvalidConfiguration,
    Problem,
    has_errors,
    why_unreadable,
)
from stream_processor.runtime.config_references import References
from stream_processor.runtime.config_validation import (
    add_finding,
    apply_rules,
    readable_section,
    validate,
)
from stream_processor.runtime.config_yaml import (
    FILE_BYTES_MAX,
    Document,
    Place,
    read_yaml,
)
from stream_processor.schema.compile import SchemaInvalid, compile_schema
from stream_processor.schema.event import EventSchema
from stream_processor.schema.masks import parse_masks


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """What a run needs from files, checked; and for `config show`, where each value came from.

    `places` are the places of values in the pipeline file or flags; `origins` say for values with
    references what gave them, like `variable KAFKA_TOPICS`. Neither holds a value.
    """

    pipeline: Pipeline
    schema_file: SchemaFile
    path: Path
    schema_path: Path
    warnings: tuple[Problem, ...] = ()
    places: Mapping[KeyPath, Place] = field(default_factory=dict, repr=False)
    origins: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)


def load_pipeline(
    path: Path | None,
    *,
    environment: Mapping[str, str],
    overrides: Mapping[str, str],
) -> LoadedPipeline:
    """Read and check a pipeline file, and the schema file that it names.

    Called by the composition root for every verb; `path` None is the default file of the package,
    for which the rule of its variables holds too (`config_mode`). `overrides` are dotted keys and
    their text, from `--set`. Raises `InvalidConfiguration` with everything that is wrong.
    """
    extra = check_default_variables(environment) if path is None else ()
    path = default_file() if path is None else path
    document = read_file(path)
    apply_overrides(document, overrides)
    references = References(environment, path.parent)
    references.resolve(document)
    name_hooks(document, path.parent)
    pipeline = validate(document, Pipeline)
    apply_rules(document, RULES)
    _check_masks(document)
    schema = _named_schema(document, path.parent)
    schema_file, compiled = _check_schema(schema) if schema else (None, None)
    if schema_file is not None and compiled is not None:
        check_columns(document, compiled, references.origins)
    problems = (*extra, *document.problems, *(schema.problems if schema else ()))
    if pipeline is None or schema is None or schema_file is None or has_errors(problems):
        raise InvalidConfiguration(problems)
    return LoadedPipeline(
        pipeline=pipeline,
        schema_file=schema_file,
        path=path,
        schema_path=Path(schema.text.name),
        warnings=problems,
        places=document.places,
        origins=references.origins,
    )


def load_schema(path: Path) -> SchemaFile:
    """Read and check a schema file alone, for `try --schema`. Raises `InvalidConfiguration`."""
    document = read_file(path)
    schema_file, _ = _check_schema(document)
    if schema_file is None or has_errors(document.problems):
        raise InvalidConfiguration(document.problems)
    return schema_file


def default_file() -> Path:
    """The pipeline file of the package, which runs when none is named."""
    return Path(str(resources.files("stream_processor.config"))) / "pipeline.yaml"


def read_file(path: Path) -> Document:
    """Read one YAML file. Raises `InvalidConfiguration` when there is none, or it is too large."""
    name = str(path)
    try:
        if not path.is_file():
            what = "this is a folder" if path.is_dir() else "there is no such file"
            raise InvalidConfiguration([Problem(name, 0, 0, what)])
        with path.open("rb") as file:
            return read_yaml(name, file.read(FILE_BYTES_MAX + 1))
    except (OSError, ValueError) as error:
        message = f"the file cannot be read: {why_unreadable(error)}"
        raise InvalidConfiguration([Problem(name, 0, 0, message)]) from error


def _check_masks(document: Document) -> None:
    section = readable_section(document, ("dlq",), DeadLetterConfig, ("preview_mask",))
    for index, message in parse_masks(section.preview_mask)[1] if section else ():
        add_finding(document, ("dlq",), Finding(("preview_mask", index), message))


def _named_schema(document: Document, folder: Path) -> Document | None:
    """The document of the schema file, if the pipeline file names one that can be read."""
    path: KeyPath = ("schema", "file")
    section = document.value.get("schema") if isinstance(document.value, dict) else None
    name = section.get("file") if isinstance(section, dict) else None
    if not isinstance(name, str) or not name or path in document.broken:
        return None
    try:
        return read_file(folder / name)
    except InvalidConfiguration as error:
        finding = Finding(path, error.problems[0].message, f"looked for {folder / name}")
        add_finding(document, (), finding)
        return None


def _check_schema(schema: Document) -> tuple[SchemaFile | None, EventSchema | None]:
    """The checked schema file, and what is compiled of it; adds what is wrong to the document."""
    whole = validate(schema, SchemaFile)
    file, indices = _readable_fields(schema)
    if not file.fields and ("fields",) in schema.places:
        add_finding(schema, (), Finding(("fields",), "expected at least one field"))
    try:
        compiled = compile_schema(file)
    except SchemaInvalid as error:
        for problem in error.problems:
            path = () if problem.key is None else (problem.key,)
            section = ("fields", indices[problem.field_index])
            add_finding(schema, section, Finding(path, problem.message))
        return None, None
    return whole, compiled


def _readable_fields(schema: Document) -> tuple[SchemaFile, list[int]]:
    """The fields whose keys and types are right, and their places in the file.

    So a mistake in one field does not hide what is wrong with the values of another.
    """
    fields = schema.value.get("fields", ()) if isinstance(schema.value, dict) else ()
    broken = {path[1] for path in schema.broken if path[:1] == ("fields",) and len(path) > 1}
    whole = isinstance(fields, tuple) and ("fields",) not in schema.broken
    indices = [index for index in range(len(fields)) if index not in broken] if whole else []
    kept = tuple(fields[index] for index in indices)
    value = {"version": 1, "name": "readable", "fields": kept}
    return SchemaFile.model_validate(value, strict=True), indices
