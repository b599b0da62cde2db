"""`python -m stream_processor.main` and the command `stream-processor`: call the CLI, no more."""

from __future__ import annotations

import sys
from typing import NoReturn

from stream_processor.cli.app import run_command
from stream_processor.cli.endings import end_process


def main() -> NoReturn:
    """Run one command and end with its exit code; without arguments `run` with the default file."""
    end_process(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
