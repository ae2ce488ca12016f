"""What an operator runs: the command line, the supervisor, brokers for one machine, topics."""
