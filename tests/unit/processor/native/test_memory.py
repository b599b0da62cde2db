"""The decoder in C stays within its memory, whatever the bytes: under the compiler's sanitizers."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from itertools import islice
from pathlib import Path

from stream_processor.processor import native
from tests import mutator
from tests.corpus.test_verdicts import CASES

HERE = Path(__file__).parent
SOURCES = Path(next(iter(native.__path__)))
MUTANTS = 6_000


def compilers() -> list[list[str]]:
    """The strictest first; the compiler that comes with the packages has no address sanitizer."""
    found = [["cc", "-fsanitize=address,undefined"]] if shutil.which("cc") else []
    return [*found, [sys.executable, "-m", "ziglang", "cc", "-fsanitize=undefined"]]


def build(target: Path) -> None:
    told = []
    for compiler in compilers():
        command = [*compiler, "-std=c99", "-g", "-O1", "-fno-sanitize-recover=all"]
        command += [f"-I{SOURCES}", str(HERE / "drive.c"), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        told.append(done.stderr)
    raise AssertionError("\n".join(told))


def test_nothing_is_read_or_written_beyond_its_buffer(tmp_path: Path) -> None:
    """Payloads come from strangers, and C does not look where it writes."""
    whole = [case.value for case in CASES if case.value]
    deep = [b'{"x":%s}' % (b"[" * depth + b"]" * depth) for depth in range(1, 140)]
    many = [b"{%s}" % b",".join(b'"k%d":1' % at for at in range(count)) for count in range(60, 70)]
    payloads = [b"", *whole, *deep, *many]
    payloads += islice(mutator.payloads(whole, 5), MUTANTS)
    payloads += islice(mutator.payloads([], 6), MUTANTS)
    texts = b"".join(struct.pack("=I", len(one)) + one for one in payloads)
    build(tmp_path / "drive")
    done = subprocess.run([tmp_path / "drive"], input=texts, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode(errors="replace")) == (0, "")
    assert int(done.stdout) == len(payloads)
