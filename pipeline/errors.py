"""Errors that a person can act on.

RagError
├── ConfigurationError   a setting is missing or wrong; the message names it
└── BrokerError          Kafka is not as the catalogue wants it
    └── BrokerAway       it does not answer, and may do so later
"""

from __future__ import annotations


class RagError(Exception):
    """Base of what is shown as one line: what is wrong, where, and what to do."""


class ConfigurationError(RagError):
    """A setting is missing or wrong; the message names its variable."""


class BrokerError(RagError):
    """Kafka cannot be reached, or its topics are not as the catalogue wants them."""


class BrokerAway(BrokerError):
    """No broker answers at the address; it may come up, or come back."""
