"""The tree is what it says: our packages are imported, modules are short and say what they are, documents are fresh."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ops.reference import settings_table, with_part

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["topics", "pipeline", "storage", "agents", "gateway", "ops"]
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_ours_and_not_another_distributions_of_the_same_name(package: str) -> None:
    """Our names are common words; `agents` for one is also what openai-agents installs."""
    assert Path(importlib.import_module(package).__file__ or "").is_relative_to(ROOT)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_begins_with_what_it_is(module: Path) -> None:
    text = module.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))


def test_the_settings_table_of_the_readme_is_that_of_the_code() -> None:
    """`python -m ops.reference` writes it anew."""
    readme = (ROOT / "README.md").read_text()
    assert readme == with_part(readme, "settings", settings_table())


def test_every_path_that_a_document_names_is_there() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_module_that_the_readme_leads_through_is_there() -> None:
    for name in re.findall(
        r"`((?:topics|pipeline|storage|agents|gateway|ops)/[\w/.]*)`", (ROOT / "README.md").read_text()
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.name))
def test_a_lock_has_a_hash_for_each_package_and_names_no_registry(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=\S)", text)
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)
    assert not re.search(r"://|--index|--extra-index|--find-links", text)


def test_the_locks_hold_every_dependency_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, development = (_pins(lock) for lock in LOCKS)
    assert {_name(line) for line in project["project"]["dependencies"]} <= runtime.keys()
    assert {_name(line) for line in project["dependency-groups"]["dev"]} <= development.keys()
    assert runtime.items() <= development.items()


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[\w,-]+\])?==(\S+)", lock.read_text(), re.MULTILINE))


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement)[0].lower()


def test_every_dependency_says_what_it_is_for() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    wanted = [line for line in lines if re.match(r'\s+"[a-z][\w.-]*(\[\w+\])?[=>]=', line)]
    assert wanted
    assert [line for line in wanted if "#" not in line] == []


def test_the_wheel_holds_our_packages_and_what_they_read_at_run_time(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(subprocess.check_output([sys.executable, "-m", "zipfile", "-l", str(wheel)], text=True).split())
    tops = {name.split("/")[0] for name in names if "/" in name and not name[0].isdigit()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    wanted = [
        "gateway/console/index.html",
        "ops/broker/pom.xml",
        "pipeline/models/questions.bin",
        "pipeline/models/transformer.onnx",
        "ops/examples/CREDITS.md",
        "storage/migrations/versions/v0001_results.py",
        "topics/schemas/answers.json",
    ]
    assert [name for name in wanted if name not in names] == []
