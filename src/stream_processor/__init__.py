"""Kafka events become rows of Delta tables, exactly once; bad ones become dead letters there."""

__version__ = "0.1.0"
__all__ = ["__version__"]
