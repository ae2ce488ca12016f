"""Records of every topic: tagged structs, one union a topic. Times are seconds since 1970, UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Mode = Literal["standard", "instant"]
StageName = Literal["sentences", "questions", "answers", "results"]
EndedBy = Literal["mark", "words", "silence", "length", "speaker", "flush", "early"]
Why = Literal["ok", "error", "cancelled", "interrupted", "expired"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """A value on a topic: plain JSON with its kind in `type`."""


# -- transcripts: what anybody may write -----------------------------------------------------------------------------


class Endpointing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When sentences of one session end, where it differs from the settings: seconds of silence, and characters.

    `early_start` says whether a question is asked as soon as interim chunks show it.
    """

    min_silence: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    max_silence: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None
    max_chars: Annotated[int, msgspec.Meta(ge=20, le=2000)] | None = None
    early_start: bool | None = None


class AsrChunk(Record, tag="asr_chunk", frozen=True, kw_only=True):
    """A piece of recognised speech. A missing `type` means this kind; a missing `is_final` means true.

    `endpointing` holds for the session from this chunk on.
    """

    text: str
    is_final: bool = True
    id: str | None = None
    timestamp: float | None = None
    segment_id: str | int | None = None
    speaker: str | int | None = None
    lang: str | None = None
    profile: str | None = None
    start_ms: float | None = None
    end_ms: float | None = None
    endpointing: Endpointing | None = None


class Control(Record, tag="control", frozen=True, kw_only=True):
    """A command in its place among the chunks; it passes through every stage.

    `text` is the latest final text: attached by the gateway where it knows it, corrected by the sentences stage, which
    also says in `ids` which chunks of an open sentence an `instant_query` consumed.
    """

    action: Literal["instant_query", "cancel", "stop"]
    id: str | None = None
    question_id: str | None = None
    text: str | None = None
    lang: str | None = None
    ids: list[str] = []
    asked_at: float = 0.0


class Ask(Record, tag="ask", frozen=True, kw_only=True):
    """A question as it is, without detection."""

    text: str
    id: str | None = None
    lang: str | None = None
    options: dict[str, Any] = {}
    asked_at: float = 0.0


class End(Record, tag="end", frozen=True, kw_only=True):
    """Nothing more comes of this session: flush, then stand behind its own questions."""


# -- sentences and questions: one writing stage each -----------------------------------------------------------------


class Claim(Record, tag="claim", frozen=True, kw_only=True):
    """A writer took over this partition; what lower epochs write after it is void."""

    epoch: int


class Failed(Record, tag="failed", frozen=True, kw_only=True):
    """A record that a stage could not handle; its bytes stand in the dead letters."""

    stage: StageName
    error: str


class Sentence(Record, tag="sentence", frozen=True, kw_only=True):
    """One sentence, with the ids and offsets of the chunks that hold any of it.

    `latest` is the latest final text of the session when it ended; `spoken_from` and `spoken_until` are record times of
    its first and last chunk. `endpointing` is what the session asked for last. One that ended `early` stands in an
    interim chunk; the sentence that it became when it was final names its source in `settles`.
    """

    text: str
    ended_by: EndedBy
    offsets: list[int]
    ids: list[str] = []
    latest: str = ""
    lang: str | None = None
    speaker: str | int | None = None
    profile: str | None = None
    spoken_from: float = 0.0
    spoken_until: float = 0.0
    endpointing: Endpointing | None = None
    settles: str | None = None


class Question(Record, tag="question", frozen=True, kw_only=True):
    """A sentence that asks; `text` is what to ask, `original` what was said.

    An `early` one was heard in an interim chunk. The final one that asks the same `confirms` its source and is not
    asked again; one that asks something else `replaces` it.
    """

    text: str
    original: str
    score: float
    reason: str
    lang: str | None = None
    options: dict[str, Any] = {}
    asked_at: float = 0.0
    early: bool = False
    confirms: str | None = None
    replaces: str | None = None


class NotAQuestion(Record, tag="not_a_question", frozen=True, kw_only=True):
    """A sentence that asks nothing, and why we think so; `replaces` is the source of an early question that it was."""

    text: str
    score: float
    reason: str
    replaces: str | None = None


# -- answers: what a client's view is folded from ---------------------------------------------------------------------


class Verdict(Record, tag="verdict", frozen=True, kw_only=True):
    """What became of a sentence that is not asked."""

    kind: Literal["not_a_question", "failed"]
    text: str = ""
    score: float | None = None
    reason: str = ""


class Reply(Record, tag="reply", frozen=True, kw_only=True):
    """Answer to a control that caused nothing: a stage or an error code of the protocol."""

    stage: str | None = None
    code: str | None = None
    message: str = ""


class Begin(Record, tag="begin", frozen=True, kw_only=True):
    """A question is being answered; `withdrawn` names the sources of the questions that it supersedes.

    `early` and `replaces` are the question's: it was heard in an interim chunk, or takes the place of one that was.
    `redrive_of` is the public id that failed, where this was sent again from the dead letters.
    """

    question: str
    attempt: int
    mode: Mode = "standard"
    withdrawn: list[str] = []
    redrive_of: str | None = None
    early: bool = False
    replaces: str | None = None


class Piece(Record, tag="piece", frozen=True, kw_only=True):
    """A part of an answer."""

    attempt: int
    index: int
    text: str


class Done(Record, tag="done", frozen=True, kw_only=True):
    """The end of a question; `index` is the next one of its answer, `text` the whole of it.

    `thread` names the conversation that the provider keeps of the session, for its next question.
    """

    attempt: int
    index: int
    why: Why
    text: str = ""
    question: str = ""
    mode: Mode = "standard"
    error: str = ""
    found: bool = True
    provider: str = ""
    sources: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    timings: dict[str, float] = {}
    thread: str = ""


class Stopped(Record, tag="stopped", frozen=True, kw_only=True):
    """The session was stopped; `withdrawn` names the sources of its unanswered questions."""

    withdrawn: list[str] = []


class Ended(Record, tag="ended", frozen=True, kw_only=True):
    """Everything that the session asked before its end has been answered."""


Transcript = AsrChunk | Control | Ask | End
SentenceRecord = Sentence | Control | Ask | End | Failed | Claim
QuestionRecord = Question | NotAQuestion | Control | End | Failed | Claim
AnswerRecord = Verdict | Reply | Begin | Piece | Done | Stopped | Ended | Claim
