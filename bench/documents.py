"""The documents of the retrieval benchmark: LibreOffice's help on tasks, two languages, as Markdown; MPL 2.0.

They come with Debian's packages (Ubuntu's too), are not part of this repository, and are laid below one folder as
`en-US/swriter/guide/pagenumbers.md`: 446 pages a language, each on one task.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from markdownify import MarkdownConverter

from pipeline.errors import ConfigurationError

PACKAGES = ("libreoffice-help-en-us", "libreoffice-help-zh-cn")
HELP = Path("usr/share/libreoffice/help")
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
# Pictures, and what a reader on a Mac would see in place of the rest.
_HIDDEN = ".noteicon, img, .MAC, .relatedtopics, script, meta"


def guides(folder: Path, download: bool) -> Path:
    """The folder of Markdown pages, made from the installed packages or from freshly downloaded ones if need be.

    Raises:
        ConfigurationError: the packages are not there; it says how to get them.
    """
    if folder.is_dir():
        return folder
    if all((Path("/") / HELP / language).is_dir() for language in LANGUAGES.values()):
        _convert(Path("/") / HELP, folder)
    elif download:
        with tempfile.TemporaryDirectory() as root:
            _download(Path(root))
            _convert(Path(root) / HELP, folder)
    else:
        raise ConfigurationError(
            f"The documents are not there: install {' and '.join(PACKAGES)} with apt, or add --download, which fetches "
            "both with apt-get (5 MB) and installs nothing."
        )
    return folder


def _download(root: Path) -> None:
    try:
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=root, check=True)
        for package in root.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise ConfigurationError(
            f"The documents could not be downloaded ({exc}): this needs Debian or Ubuntu, and `apt-get update` first."
        ) from exc


def _convert(found: Path, folder: Path) -> None:
    made = folder.with_name(folder.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    for language in LANGUAGES.values():
        text = found / language / "text"
        for page in sorted(text.glob("*/guide/*.html")):
            to = (made / language / page.relative_to(text)).with_suffix(".md")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(markdown(page.read_text(encoding="utf-8")), encoding="utf-8")
    made.rename(folder)


def markdown(html: str) -> str:
    """What a help page says, without what stands around it."""
    body = BeautifulSoup(html, "html.parser").find(id="DisplayArea")
    if not isinstance(body, Tag):
        return ""
    for hidden in body.select(_HIDDEN):
        hidden.decompose()
    return MarkdownConverter(heading_style="ATX", strip=["a"]).convert_soup(body).strip() + "\n"
