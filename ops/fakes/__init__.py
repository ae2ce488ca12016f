"""Servers that speak as the providers do, on loopback and without a key: for trying out, demos, chaos and tests.

    server.py    HTTP, what was asked, faults that happen between two pieces
    replies.py   what is answered, and the faults there are
    openai.py    chat completions and Responses
    dify.py      chat apps, chatflows, agents
    serper.py    search results
    custom.py    JSON, JSON lines, server-sent events and plain text of a server of one's own

Events and their order follow what the vendors publish, named at the head of each module; the sentences are ours.
"""

from ops.fakes.replies import FAULTS, Reply, read_script
from ops.fakes.server import Fakes, Request, serving

__all__ = ["FAULTS", "Fakes", "Reply", "Request", "read_script", "serving"]
