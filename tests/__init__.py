"""Tests: unit, contract, integration, e2e."""
