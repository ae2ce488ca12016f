"""Servers that speak as the providers do, on loopback and without a key: for trying out, demos, chaos and tests.

    server.py       HTTP, what was asked, faults that happen between two pieces
    scripts.py      which reply a question gets
    replies.py      what is answered, and the faults there are
    recordings.py   whole answers byte for byte: samples of published ones, and recordings of one's own
    openai.py       chat completions and Responses
    dify.py         chat apps, chatflows, agents
    serper.py       search results
    custom.py       JSON, JSON lines, server-sent events and plain text of a server of one's own

Events and their order follow what the vendors publish, named at the head of each module and in `recordings.py`; the
sentences are ours.
"""

from ops.fakes.recordings import SAMPLES, recording, sample
from ops.fakes.replies import FAULTS, Reply
from ops.fakes.scripts import read_script
from ops.fakes.server import Fakes, Request, serving

__all__ = ["FAULTS", "SAMPLES", "Fakes", "Reply", "Request", "read_script", "recording", "sample", "serving"]
