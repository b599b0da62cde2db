"""`make up`, `make down` and the preparation of `make test`:

python -m stream_processor.operations.local_stack up | orders | down | fetch
"""

from __future__ import annotations

import sys

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.local_stack.kafka_parts import fetch_kafka
from stream_processor.operations.local_stack.left_running import down, send_orders, up
from stream_processor.operations.local_stack.minio_parts import fetch_minio


def _fetch() -> str:
    """Fill the cache, so that no test waits for a download or a build."""
    return f"The local stack is ready: {fetch_kafka().name}, {fetch_minio().parent.name}"


VERBS = {"up": up, "down": down, "orders": send_orders, "fetch": _fetch}


def main() -> int:
    """Run one verb; returns the exit status."""
    verb = VERBS.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if verb is None:
        sys.stderr.write(f"usage: python -m {__package__} {' | '.join(VERBS)}\n")
        return 2
    try:
        sys.stdout.write(f"{verb()}\n")
    except StreamProcessorError as problem:
        sys.stderr.write(f"{problem}\n{problem.hint}\n")
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
