"""Chaos harness: the whole service under drawn faults, and a checker of its own that judges what came of it."""
