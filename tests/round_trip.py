"""Ways to break a schema that a person mends later, and the oracle of what must come of it.

A pipeline that ran with a broken schema, was mended and replayed must have the table that a right
schema would have given from the start; what that one rejects too must still be open.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from stream_processor.operations.orders import orders

ORDERS = (resources.files("stream_processor.config") / "orders.yaml").read_text()
CORPUS = Path(__file__).parent / "corpus" / "json_verdicts.jsonl"


def _in_orders(right: str, broken: str) -> Callable[[], str]:
    def schema() -> str:
        assert ORDERS.count(right) == 1, right
        return ORDERS.replace(right, broken)

    return schema


BREAKS = {
    "a currency was forgotten": _in_orders("[EUR, USD, GBP]", "[EUR, GBP]"),
    "capitals were not foreseen": _in_orders("[trim, lower]", "[trim]"),
    "milliseconds were not foreseen": _in_orders("[rfc3339, epoch_ms]", "[rfc3339]"),
    "a bound is too low": _in_orders("minimum: 1\n", "minimum: 1\n    maximum: 4\n"),
    "a field has another name": _in_orders("name: quantity\n", "name: quantity\n    from: qty\n"
                                           "    required: true\n"),
    "no order number is taken": _in_orders("name: order_id\n", "name: order_id\n    pattern: X\n"),
}  # fmt: skip  # what is replaced by what, beside each other
"""Broken versions of the built-in schema of orders, by what is wrong with them."""


def invented(count: int, seed: int = 5) -> list[bytes | None]:
    """Orders as the demo makes them, one in ten of them broken so that no schema takes it."""
    return [value for _, value in orders(count, seed, broken_ratio=0.1)]


def corpus_schema(**of_id: object) -> str:
    """The schema of the corpus as a file; JSON is YAML. `of_id` are further rules of the id."""
    schema = json.loads(CORPUS.read_text().partition("\n")[0])["schema"]
    schema["fields"][0] |= of_id
    return json.dumps(schema)


def corpus_events() -> list[bytes | None]:
    """Every value of the corpus, in order."""
    texts = [json.loads(line)["value_base64"] for line in CORPUS.read_text().splitlines()[1:]]
    return [None if text is None else base64.b64decode(text) for text in texts]


def comparable(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the moment at which they were written, in the order of their events."""
    kept = [{name: row[name] for name in row if name != "_ingested_at"} for row in rows]
    return sorted(kept, key=lambda row: (row["_kafka_partition"], row["_kafka_offset"]))
