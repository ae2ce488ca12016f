"""Brokers for one machine: an embedded one for a laptop, and a real Apache Kafka."""
