"""What the demo shows: heard text, sentences passed over, questions, answers as they stream, one below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text


class Screen:
    """Prints a run line by line; what comes while an answer streams is held back until that answer is whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._answering = False
        self._answer_text = ""
        self._held: list[Text] = []

    def line(self, text: str, style: str = "") -> None:
        """Print a line, or keep it until the running answer ends."""
        if self._answering:
            self._held.append(Text(text, style))
        else:
            self._console.print(Text(text, style), soft_wrap=True)

    def heard(self, speaker: str, text: str) -> None:
        """Show a final chunk that the service has stored."""
        self.line(f"  {speaker}: {text}")

    def show(self, message: Mapping[str, Any]) -> None:
        """Show a message of the server, if it is one for the eye."""
        match message:
            case {"type": "status", "stage": "waiting_for_question"}:
                self.line(f"    - {_brief(message.get('text', ''))} ({message.get('reason', '')})", "dim")
            case {"type": "status", "stage": "analyzing" | "instant_query", "question": question}:
                self.line(f"? {question}", "bold cyan")
            case {"type": "answer"}:
                self._answer(message)
            case {"type": "status", "stage": "idle"}:
                self.end()
            case {"type": "error", "code": code}:
                self.line(f"! {code}: {message.get('message', '')}", "bold red")

    def end(self) -> None:
        """End the line of a running answer and print what was held back."""
        if not self._answering:
            return
        self._answering = False
        self._console.print()
        held, self._held = self._held, []
        for line in held:
            self._console.print(line, soft_wrap=True)

    def _answer(self, message: Mapping[str, Any]) -> None:
        if message.get("stream_index") == 0:
            if self._answering:
                self._console.print()
            self._piece("> " if message.get("attempt", 0) % 100 == 0 else "> (again) ")
            self._answering, self._answer_text = True, ""
        self._piece(message.get("content", ""))
        self._answer_text += message.get("content", "")
        if message.get("final"):
            # Some providers write the titles of their sources into the answer itself.
            unnamed = [cited for cited in message.get("sources") or [] if str(cited["title"]) not in self._answer_text]
            self._held[:0] = [Text(f"    {line}", "blue") for line in citations(unnamed)]
            self.end()

    def _piece(self, text: str) -> None:
        self._console.print(Text(text.replace("\n", "\n  "), "green"), end="", soft_wrap=True)


def citations(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each source by its number, title and place.

    >>> citations([{"n": 1, "title": "Plans", "heading": "Price", "file": "a.md", "lines": "L3"}])
    ['[1] Plans, Price, a.md, L3']
    """
    places = ("title", "heading", "file", "lines", "url")
    return [
        f"[{source['n']}] " + ", ".join(str(source[key]) for key in places if source.get(key)) for source in sources
    ]


def _brief(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
