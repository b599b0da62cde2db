"""Who drives, and the clients of the outside world."""
