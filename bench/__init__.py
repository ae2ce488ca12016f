"""Measurements: what the stage runtime costs, how long an answer takes, how well questions are detected."""
