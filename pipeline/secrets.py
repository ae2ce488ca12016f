"""Keys and passwords of the settings, kept out of what is logged, stored or shown."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from urllib.parse import urlsplit

from pipeline.settings import Settings

SHORTEST = 8  # characters; servers without keys take any word, and words stand in texts


def redacted(settings: Settings, text: str) -> str:
    """A text without the secrets of these settings, however they are written.

    >>> redacted(Settings(openai_api_key="sk-12345678"), "401 for Bearer SK-12345678")
    '401 for Bearer ***'
    """
    pattern = _pattern(settings)
    return pattern.sub("***", text) if pattern else text


@cache
def _pattern(settings: Settings) -> re.Pattern[str] | None:
    secrets = {settings.database_url, urlsplit(settings.database_url).password or "", *settings.api_keys.split(",")}
    secrets |= {getattr(settings, field.name) for field in dataclasses.fields(settings) if not field.repr}
    known = sorted({secret.strip() for secret in secrets if len(secret.strip()) >= SHORTEST}, key=len, reverse=True)
    return re.compile("|".join(re.escape(secret) for secret in known), re.IGNORECASE) if known else None
