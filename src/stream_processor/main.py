"""`python -m stream_processor.main` and the command `stream-processor`: call the CLI, no more."""

from __future__ import annotations

import sys

from stream_processor.cli.app import run_command


def main() -> int:
    """The exit code of one command; without arguments that is `run` with the default file."""
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
