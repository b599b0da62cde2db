"""A person at a terminal: one small module per verb."""
