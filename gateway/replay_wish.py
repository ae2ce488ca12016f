"""What a replay is asked to be: the body of `POST /api/replays`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.batch import Options
from pipeline.cascade import MODELS
from pipeline.comparison import LIVE
from pipeline.profiles import read_profile
from pipeline.replays import Range, parse_offsets


def _profile(text: str) -> str:
    read_profile(text)
    return text


def _detector(text: str) -> str:
    return text if text in MODELS else _profile(text)


class Listening(NamedTuple):
    """Profile and model that judge a replay; None: those that judged before."""

    profile: str | None
    model: str | None


class Asked(BaseModel):
    """What is to be replayed, and how; times without a zone are UTC."""

    model_config = ConfigDict(extra="forbid")

    session: str | None = Field(None, min_length=1, max_length=1000)
    since: datetime | None = Field(None, alias="from", description="record time; part of the range")
    until: datetime | None = Field(None, alias="to", description="record time; not part of it")
    offsets: str | None = Field(None, description="PARTITION:FIRST-LAST of the live transcripts, both part of it")
    provider: str | None = Field(None, max_length=100)
    profile: Annotated[str, AfterValidator(_profile)] | None = Field(None, description="of the detector")
    detector: Annotated[str, AfterValidator(_detector)] | None = Field(None, description="a model, or a profile")
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    rate: float | None = Field(None, ge=0.1, le=1e6, description="records a second; default: as fast as it goes")
    run: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="name of the task")
    dry_run: bool = Field(False, description="only count")

    @model_validator(mode="after")
    def _says_what(self) -> Asked:
        if not (self.session or self.since or self.until or self.offsets):
            raise ValueError("say what to replay: session, from, to or offsets")
        if self.offsets:
            parse_offsets(self.offsets)
        if self.run == LIVE:
            raise ValueError(f"run: {LIVE!r} is what was answered live; choose another name")
        return self

    def range(self) -> Range:
        """The range that is meant."""
        since = _seconds(self.since) if self.since else 0.0
        until = _seconds(self.until) if self.until else float("inf")
        return Range(self.session, since, until, *(parse_offsets(self.offsets) if self.offsets else ()))

    def listening(self) -> Listening:
        """What judges."""
        if self.detector in MODELS:
            return Listening(self.profile, self.detector)
        return Listening("; ".join(filter(None, (self.profile, self.detector))) or None, None)

    def described(self) -> str:
        """The range in words."""
        parts = {"session": self.session, "from": self.since, "to": self.until, "offsets": self.offsets}
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value)[:500]


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
