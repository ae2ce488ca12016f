"""The name of everything: where in the transcripts log a thing ends."""

from __future__ import annotations

from typing import NamedTuple, Self


class Source(NamedTuple):
    """Offset of a transcripts record, and the character of its text at which the thing ends (0 for controls).

    A sentence, its question and its answer share one source. In a session sources only grow.
    """

    offset: int
    char: int = 0

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read `offset.char`.

        >>> Source.parse("12.25")
        Source(offset=12, char=25)

        Raises:
            ValueError: the text is not of that form.
        """
        offset, _, char = text.partition(b"." if isinstance(text, bytes) else ".")  # type: ignore[arg-type]
        return cls(int(offset), int(char or 0))

    def __str__(self) -> str:
        return f"{self.offset}.{self.char}"


BEFORE_ALL = Source(-1, 0)


def public_id(session: str, source: Source) -> str:
    """Name of a question as clients know it.

    >>> public_id("call-7", Source(12, 25))
    'call-7/12.25'
    """
    return f"{session}/{source}"


def session_of(key: bytes | None, partition: int, offset: int) -> str:
    """Session of a record; one without a key is a session of its own.

    >>> session_of(b"call-7", 3, 9), session_of(None, 3, 9)
    ('call-7', '3.9')
    """
    return key.decode("utf-8", "replace") if key is not None else f"{partition}.{offset}"
