"""What an operator runs: the command line, the supervisor, brokers for one machine, topics."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts us from a checkout has not been asked by pip
    sys.exit("realtime-rag needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031
