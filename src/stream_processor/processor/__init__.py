"""The pure kernel: plan, decode, parse, normalise, route."""
