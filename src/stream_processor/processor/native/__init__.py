"""The decoder in C, where it was built: JSON scanned and simple values converted column by column.

It takes only what it is sure of. What it leaves over, and every dead letter, is judged in Python.
"""
