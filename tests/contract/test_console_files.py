"""The console page's files: nothing of other hosts, nothing inline, text only, vendored code as it was published."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract

CONSOLE = Path(__file__).parents[2] / "gateway" / "console"
VENDOR = CONSOLE / "vendor"
MODULES = sorted(CONSOLE.glob("*.js"))
OURS = [path for path in sorted(CONSOLE.iterdir()) if path.is_file()]

names = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text inside of script and style elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.inline += data.strip()


@pytest.fixture(scope="module")
def tags() -> Tags:
    parser = Tags()
    parser.feed((CONSOLE / "index.html").read_text("utf-8"))
    return parser


def test_vendored_files_are_those_that_were_published() -> None:
    listed = json.loads((VENDOR / "VENDORED.json").read_text("utf-8"))
    for entry in listed:
        content = (VENDOR / entry["file"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
    named = {name for entry in listed for name in (entry["file"], *entry["licence_files"])}
    assert named | {"VENDORED.json"} == {path.name for path in VENDOR.iterdir()}


def test_the_page_has_no_inline_script_or_style(tags: Tags) -> None:
    assert tags.inline == ""
    attributes = {name for _, attrs in tags.found for name in attrs}
    assert not {name for name in attributes if name == "style" or name.startswith("on")}


def test_the_page_links_relative_files_that_exist(tags: Tags) -> None:
    links = [attrs.get("src") or attrs.get("href") for tag, attrs in tags.found if tag in ("script", "link")]
    assert links
    for link in links:
        assert link is not None and link.startswith("console/")
        assert (CONSOLE.parent / link).is_file()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r"""(?:https?|wss?):[/]{2}[a-z0-9]|(?<!\.)\burl\(|@import""", text) == []


@names
def test_content_is_only_ever_text(path: Path) -> None:
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert re.findall(unsafe, path.read_text("utf-8")) == []


@names
def test_a_module_is_type_checked_small_and_imports_files_that_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("// @ts-check\n// ")
    assert len(text.splitlines()) <= 300
    for imported in re.findall(r'from "([^"]+)"', text):
        assert (CONSOLE / imported).is_file()
