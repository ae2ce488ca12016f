"""Results of the bulk lane in SQL: projected from the topics, and built again from them. Nothing else knows SQL."""
