"""A provider of somebody else's package, found by its entry point: the one that the documentation builds."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, Delta, End, Provider, build_provider
from pipeline.providers import catalog as catalog_module
from pipeline.settings import Settings

pytestmark = pytest.mark.contract


def documented_provider() -> type[Provider]:
    """The class that docs/providers.md builds."""
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {"__name__": "my_package"}
    exec(compile(code, "docs/providers.md", "exec"), scope)
    provider: type[Provider] = scope["OpeningHours"]
    return provider


OpeningHours = documented_provider()


class Mute:
    """Is no provider."""

    def __init__(self, settings: object) -> None:
        pass


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entry points, as if packages with them were installed."""
    kinds = {"opening-hours": "OpeningHours", "mute": "Mute"}
    points = [EntryPoint(name, f"{__name__}:{kind}", "group") for name, kind in kinds.items()]
    monkeypatch.setattr(catalog_module, "entry_points", lambda group: points)


@pytest.mark.usefixtures("installed")
async def test_the_provider_of_the_documentation_is_found_by_its_entry_point() -> None:
    provider = build_provider(Settings(rag_provider="opening-hours"))
    *pieces, end = [item async for item in provider.stream(Asked("are you open on Saturday"))]
    assert pieces == [Delta("On saturday from 10 to 14. ")]
    assert isinstance(end, End)
    assert end.sources[0]["title"] == "Opening hours"
    assert await provider.health()


@pytest.mark.usefixtures("installed")
def test_an_installed_class_that_is_no_provider_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'mute'.*inherit from pipeline.providers.Provider"):
        build_provider(Settings(rag_provider="mute"))
