"""From the steps of a pipeline file to those of the kernel: here the user's functions are loaded.

A function is named `module:function`. A file `module.py` beside the pipeline file is taken first,
else whatever is installed under that name; it runs in this process, with all of its rights.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from stream_processor.config.transform import TransformStep
from stream_processor.errors import ConfigurationError
from stream_processor.schema.steps import Derive, Drop, Filter, Hook, Mask, Rename, Step

_NAME = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)", re.ASCII)
_FILE = re.compile(r"(/.+)/([A-Za-z_]\w*)\.py:([A-Za-z_]\w*)", re.ASCII)


class HookInvalid(ConfigurationError):
    """A function that cannot be loaded."""


def steps_of(steps: Sequence[TransformStep]) -> tuple[Step, ...]:
    """The steps of a file that was checked. Raises `HookInvalid`."""
    return tuple(step_of(step) for step in steps)


def step_of(step: TransformStep) -> Step:
    """One step; exactly one of its verbs is set. Raises `HookInvalid`."""
    if step.filter is not None:
        return Filter(step.filter)
    if step.derive:
        return Derive(tuple(step.derive.items()))
    if step.rename:
        return Rename(tuple(step.rename.items()))
    if step.drop:
        return Drop(step.drop)
    if step.mask:
        key = step.key.get_secret_value() if step.key is not None else ""
        return Mask(tuple(step.mask.items()), key.encode())
    return _hook(step.python or "")


def beside(name: str, folder: Path) -> str:
    """`module:function` as `/folder/module.py:function`, where there is such a file.

    Called by the loader, so that a value tells by itself which file is meant.
    """
    match = _NAME.fullmatch(name)
    path = folder.absolute() / f"{match[1]}.py" if match else folder
    return f"{path}:{match[2]}" if match and path.is_file() else name


def _hook(name: str) -> Hook:
    file, installed = _FILE.fullmatch(name), _NAME.fullmatch(name)
    if file is not None:
        path = Path(file[1]) / f"{file[2]}.py"
        source = _source(path)
        module = _loaded(path, source)
        return Hook(f"{file[2]}:{file[3]}", _digest(source), _function(module, file[3]))
    if installed is None:
        raise HookInvalid("expected module:function")
    module = _imported(installed[1])
    origin = module.__spec__.origin if module.__spec__ is not None else None
    source = _source(Path(origin)) if origin else b""
    return Hook(name, _digest(source), _function(module, installed[2]))


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        why = f"there is no {name}.py beside the pipeline file, and no module of this name"
        raise HookInvalid(why) from error
    except Exception as error:
        raise HookInvalid(f"{name} cannot be imported: {type(error).__name__}") from error


@lru_cache(maxsize=64)
def _loaded(path: Path, source: bytes) -> ModuleType:
    """The module of a file as it is now; once per content, so that it has one state."""
    name = f"stream_processor_hook_{_digest(str(path).encode() + source)[:16]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HookInvalid(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    try:
        code = compile(source, str(path), "exec")
        exec(code, module.__dict__)  # noqa: S102 - the user's own file, exactly the bytes hashed
    except Exception as error:
        del sys.modules[name]
        raise HookInvalid(f"{path} cannot be imported: {type(error).__name__}") from error
    return module


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HookInvalid(f"{path} cannot be read") from error


def _function(module: ModuleType, name: str) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    found: Any = getattr(module, name, None)
    if not callable(found):
        raise HookInvalid(f"there is no function {name} in it")
    function: Callable[[pa.RecordBatch], pa.RecordBatch] = found
    return function


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()
