"""The contract: records, topics, headers and names that every process shares."""
