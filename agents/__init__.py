"""Thin Faust shells: one stage is one module, one app and one consumer group."""
