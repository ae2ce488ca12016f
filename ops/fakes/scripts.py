"""Which reply a question gets: the one that it names itself, or that a script has for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ops.fakes.recordings import SAMPLES, sample
from ops.fakes.replies import FAULTS, Reply
from pipeline.errors import ConfigurationError

_NAMED = re.compile(r"(fault|sample):([\w-]+)")


def choose(replies: Mapping[str, Sequence[Reply]], question: str, call: int) -> Reply:
    """The reply to the nth call with a question.

    `fault:NAME` in the question asks for that fault, `sample:NAME` for that sample. Else the longest key that occurs in
    the question wins, `*` is any question; the nth call gets the nth reply, later calls the last one.

    >>> choose({"*": [Reply("a")], "tax": [Reply("b"), Reply("c")]}, "the tax?", 5).text
    'c'
    >>> choose({}, "fault:429 and the tax?", 1).status
    429
    """
    named = _NAMED.search(question)
    if named and named[2] in (FAULTS if named[1] == "fault" else SAMPLES):
        return FAULTS[named[2]] if named[1] == "fault" else sample(named[2])
    keys = sorted((key for key in replies if key in question), key=len)
    fitting = replies[keys[-1]] if keys else replies.get("*", [Reply()])
    return fitting[min(call, len(fitting)) - 1]


def read_script(script: Any) -> dict[str, list[Reply]]:
    """Replies by key, out of a script's JSON: `{"replies": {"tax": ["429", {"text": "Nineteen percent."}]}}`.

    A text names a fault, or a sample: `sample:dify-agent`.

    Raises:
        ConfigurationError: it is not of this form, or names a fault or a field that there is not.
    """
    try:
        return {key: [_reply(given) for given in replies] for key, replies in script["replies"].items()}
    except (KeyError, TypeError, AttributeError) as exc:
        wanted = '{"replies": {"part of a question, or *": ["name of a fault" or an object, …]}}'
        raise ConfigurationError(f"A script of the fakes must look like {wanted}; this one does not: {exc}.") from exc


def _reply(given: Any) -> Reply:
    if isinstance(given, str):
        return sample(given.removeprefix("sample:")) if given.startswith("sample:") else named_fault(given)
    if unknown := given.keys() - {known.name for known in fields(Reply)}:
        raise ConfigurationError(f"A reply of the fakes has no {', '.join(sorted(unknown))}.")
    return Reply(**given)


def named_fault(name: str) -> Reply:
    """The reply of a fault.

    Raises:
        ConfigurationError: there is no such fault; lists those that there are.
    """
    if name not in FAULTS:
        raise ConfigurationError(f"There is no fault {name!r}; there are {', '.join(FAULTS)}.")
    return FAULTS[name]
