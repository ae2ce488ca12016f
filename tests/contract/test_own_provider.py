"""A provider of somebody else's package, found by its entry point: the one that the documentation builds."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from ops.contract.cases import CASES
from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, Delta, End, Provider, build_provider
from pipeline.providers import catalog as catalog_module
from pipeline.settings import Settings

pytestmark = pytest.mark.contract


ROOT = Path(__file__).parents[2]


def documented(language: str) -> str:
    """The one block of a language in docs/providers.md."""
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    [code] = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(code)


def documented_provider() -> type[Provider]:
    """The class that docs/providers.md builds."""
    code = documented("python")
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


def test_the_documented_provider_has_at_most_25_lines() -> None:
    assert len([line for line in documented("python").splitlines() if line.strip()]) <= 25


ASK = """
import asyncio, pipeline
from pipeline.providers import Asked, Delta, build_provider
from pipeline.settings import Settings

async def main():
    provider = build_provider(Settings.from_env({"RAG_PROVIDER": "opening-hours"}))
    items = [item async for item in provider.stream(Asked("are you open on Monday"))]
    print(pipeline.__file__)
    print("".join(item.text for item in items if isinstance(item, Delta)), items[-1].provider, items[-1].sources)

asyncio.run(main())
"""


def test_the_documented_package_answers_beside_our_built_wheel_in_an_environment_of_its_own(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "my_package.py").write_text(documented("python"), encoding="utf-8")
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    about = '[project]\nname = "my-package"\nversion = "1.0"\n'
    (package / "pyproject.toml").write_text(build + about + documented("toml"), encoding="utf-8")
    venv.create(tmp_path / "fresh", with_pip=False)
    [site] = (tmp_path / "fresh").glob("lib/python*/site-packages")
    for project in (ROOT, package):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheels")]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    for wheel in (tmp_path / "wheels").iterdir():
        zipfile.ZipFile(wheel).extractall(site)
    # what we depend on, without what makes our checkout importable
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    assert (site / "ops" / "fakes" / "samples" / "serper.json").is_file()
    python = [str(tmp_path / "fresh" / "bin" / "python"), "-I"]
    where, said = subprocess.check_output([*python, "-c", ASK], cwd=tmp_path, text=True).splitlines()
    assert Path(where).is_relative_to(site)
    assert said.startswith("On monday from 9 to 17.  opening-hours [{'n': 1, 'title': 'Opening hours'}]")
    suite = [*python, "-m", "ops.cli", "providers", "check", "opening-hours", "--question", "are you open on Monday"]
    shown = subprocess.check_output(suite, cwd=tmp_path, text=True).splitlines()
    assert [line.split()[-1] for line in shown[1:-1]] == ["+"] * len(CASES)
    assert shown[-1] == "All of it is kept."


@pytest.mark.usefixtures("installed")
def test_the_documented_test_runs_every_case() -> None:
    scope: dict[str, Any] = {}
    exec(compile(documented("py"), "docs/providers.md", "exec"), scope)
    [marked] = scope["test_contract"].pytestmark
    assert len(marked.args[1]) == len(CASES)
    for case in marked.args[1]:
        scope["test_contract"](case)
