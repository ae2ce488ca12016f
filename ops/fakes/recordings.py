"""Whole answers, byte for byte: samples of the vendors' published examples, and recordings of one's own.

A sample has the events, the fields, their order and the spacing of the example that it names; words and ids are ours,
so that nobody's text lies here. `python -m bench.published` holds them against the vendors' documents, and has our
providers read those as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.fakes.replies import Reply
from pipeline.errors import ConfigurationError

FOLDER = Path(__file__).parent / "samples"
MEDIA = {".sse": "text/event-stream", ".json": "application/json", ".ndjson": "application/x-ndjson"}
_DIFY = "https://docs.dify.ai/api-reference (en/api-reference/openapi_service.json, POST /chat-messages, 200)"
_OPENAI = "https://platform.openai.com/docs/api-reference (openapi.yaml of github.com/openai/openai-openapi)"


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the form of a sample was published: the document, the example in it, and what stands elsewhere in it."""

    document: str
    example: str
    more: str = ""


_PINGS = "pings as in the guide «Consume Streaming Responses»"
SAMPLES: Mapping[str, Sample] = {
    "openai-chat": Sample(
        _OPENAI,
        "CreateChatCompletionStreamResponse",
        "the chunk with the usage and `[DONE]` as under `stream_options` and `stream`",
    ),
    "openai-responses": Sample(_OPENAI, "POST /responses, Streaming"),
    "dify-chatbot": Sample(_DIFY, "streamingResponseBasic", _PINGS),
    "dify-agent": Sample(_DIFY, "streamingResponseAgent", _PINGS),
    "dify-chatflow": Sample(_DIFY, "streamingResponseWorkflow", _PINGS),
    "dify-paused": Sample(_DIFY, "humanInputPause"),
    "serper": Sample(
        "https://serper.dev (its playground; the vendor publishes no reference)",
        "POST /search",
        "fields as in answers that public clients of it have recorded",
    ),
}


def sample(name: str) -> Reply:
    """The reply that is a sample.

    Raises:
        ConfigurationError: there is no such sample; lists those that there are.
    """
    if name not in SAMPLES:
        raise ConfigurationError(f"There is no sample {name!r}; there are {', '.join(SAMPLES)}.")
    [file] = FOLDER.glob(f"{name}.*")
    return recording(file)


def recording(file: Path) -> Reply:
    """The reply whose body is a file, such as `curl -sN … > answer.sse` wrote it; its suffix says the content type.

    Raises:
        ConfigurationError: it cannot be read, or has another suffix.
    """
    if file.suffix not in MEDIA:
        raise ConfigurationError(f"The recording {file} must end in one of {', '.join(MEDIA)}.")
    try:
        return Reply(wire=file.read_bytes().decode("utf-8"), content_type=MEDIA[file.suffix])
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"The recording {file} cannot be read: {exc}.") from exc
