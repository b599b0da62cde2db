"""What an event means: compiled fields, and the Arrow shapes of all records."""
