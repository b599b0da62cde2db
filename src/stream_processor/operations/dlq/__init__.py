"""What a person asks about dead letters, and has done with them: the verbs of `dlq`."""
