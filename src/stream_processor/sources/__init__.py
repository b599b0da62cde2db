"""Where events enter."""
