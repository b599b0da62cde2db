"""Build `.venv` from the committed locks; with nothing but Python's standard library.

Called by the Makefile: `python3 scripts/bootstrap.py runtime | dev`. `runtime` is what the demo
needs, `dev` adds the tools and is a superset. When nothing has changed since the last time it does
nothing and needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
COVERED_BY = {"runtime": ("runtime", "dev"), "dev": ("dev",)}
BUILD_LOCK = "requirements-build.lock"
COMPILER_LOCK = "requirements-compiler.lock"
NATIVE = ROOT / "src" / "stream_processor" / "processor" / "native"


def main(level: str) -> None:
    """Bring `.venv` to this level."""
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, then has it
        if any(
            stamp(name).exists() and stamp(name).read_text() == state_of(name)
            for name in COVERED_BY[level]
        ):
            return
        make_venv()
        say(f"Installing the packages of {LOCKS[level]} into .venv (takes a minute the first time)")
        pip_locked(LOCKS[level])
        pip_locked(BUILD_LOCK)
        install_itself(level)
        stamp(level).write_text(state_of(level))


def stamp(level: str) -> Path:
    """The file that says what was installed for this level."""
    return VENV / f".installed-{level}"


def state_of(level: str) -> str:
    """A hash over everything that decides what is installed, and for which interpreter."""
    files = [ROOT / name for name in (LOCKS[level], BUILD_LOCK, COMPILER_LOCK, "pyproject.toml")]
    files += sorted(NATIVE.glob("*.[ch]"))
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(f"{sys.version}{ROOT}".encode() + content).hexdigest()


def make_venv() -> None:
    """A new environment of this interpreter, unless one is there that works."""
    if works():
        return
    if importlib.util.find_spec("ensurepip") is None:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        stop(f"This Python cannot make virtual environments. Mend it by: apt-get install {name}")
    say(f"Making .venv with Python {sys.version.split()[0]}")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if made.returncode != 0:
        stop("`python3 -m venv .venv` failed; Python says why above.")


def works() -> bool:
    """Whether `.venv` was made by this version of Python and its pip runs."""
    code = "import sys, pip; print(sys.version)"
    try:
        done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == sys.version


def install_itself(level: str) -> None:
    """The package, editable, with its C part where it can be built: it is optional.

    Whoever runs all tests needs it, so for them a compiler is installed where there is none.
    """
    say("Installing stream-processor itself, editable")
    for built in NATIVE.glob("*.so"):
        built.unlink()  # of older sources
    install = ("--no-deps", "--no-build-isolation", "--editable", ".")
    pip(*install, **compiler())
    if level == "dev" and not any(NATIVE.glob("*.so")):
        say("Building its C part with a compiler from a package (takes a minute)")
        pip_locked(COMPILER_LOCK)
        zig = f"{shlex.quote(str(PYTHON))} -m ziglang cc"
        cache = str(VENV / ".zig-cache")
        pip(*install, CC=zig, LDSHARED=f"{zig} -shared", ZIG_GLOBAL_CACHE_DIR=cache)


def compiler() -> dict[str, str]:
    """Settings for a C compiler that is there though Python was not built with it."""
    expected = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(expected[0]) or not shutil.which("cc"):
        return {}
    return {"CC": "cc", "LDSHARED": "cc -shared", "CFLAGS": "-O2"}


def pip_locked(lock: str) -> None:
    """Install exactly the files that a lock names; none of them is built here."""
    pip("--require-hashes", "--only-binary", ":all:", "-r", lock)


def pip(*arguments: str, **settings: str) -> None:
    """Run the pip of `.venv`, undisturbed by settings meant for other environments."""
    ignored = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    environment |= settings
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if not sys.stdout.isatty():
        command.append("--quiet")
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        stop(
            "The Python packages could not be installed; pip says why above. "
            "A network is needed until this has succeeded once."
        )


def say(text: str) -> None:
    """One line per phase, at once even when the output is a file."""
    print(text, flush=True)


def stop(text: str) -> None:
    """End with one sentence."""
    sys.exit(text)


if __name__ == "__main__":
    main(sys.argv[1])
