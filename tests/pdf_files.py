"""Small PDF files as programs write them: lines of text on pages, bookmarks, and one that wants a password."""

from __future__ import annotations

from collections.abc import Sequence

_FONTS = (
    b"<</F1 <</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    b"/F2 <</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UCS2-H/DescendantFonts["
    b"<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo"
    b"<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/DW 1000>>]>>>>"
)


def pdf(
    pages: Sequence[Sequence[str]], bookmarks: Sequence[tuple[str, int]] = (), title: str = "", locked: bool = False
) -> bytes:
    """A file with these lines on its pages; `bookmarks` are titles with their page, from 1."""
    first_page, first_mark = 4, 4 + 2 * len(pages)
    kids = b" ".join(b"%d 0 R" % (first_page + 2 * at) for at in range(len(pages)))
    outlines = b""
    if bookmarks:
        outlines = b"/First %d 0 R/Last %d 0 R" % (first_mark, first_mark + len(bookmarks) - 1)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/Outlines 3 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
        b"<</Type/Outlines%s>>" % outlines,
    ]
    for at, lines in enumerate(pages):
        drawn = b"".join(_line(line, 800 - 16 * row) for row, line in enumerate(lines))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 840]/Contents %d 0 R/Resources<</Font%s>>>>"
            % (first_page + 2 * at + 1, _FONTS)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn))
    for at, (name, page) in enumerate(bookmarks):
        following = b"/Next %d 0 R" % (first_mark + at + 1) if at + 1 < len(bookmarks) else b""
        goal = first_page + 2 * (page - 1)
        objects.append(b"<</Title<%s>/Parent 3 0 R/Dest[%d 0 R/Fit]%s>>" % (_utf16(name), goal, following))
    objects.append(b"<</Title<%s>>>" % _utf16(title))
    return _file(objects, locked)


def _line(text: str, height: int) -> bytes:
    font, shown = (b"F1", text.encode().hex()) if text.isascii() else (b"F2", text.encode("utf-16-be").hex())
    return b"BT /%s 11 Tf 40 %d Td <%s> Tj ET\n" % (font, height, shown.encode())


def _utf16(text: str) -> bytes:
    return b"feff" + text.encode("utf-16-be").hex().encode()


def _file(objects: Sequence[bytes], locked: bool) -> bytes:
    written, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    secret = b"/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O<%s>/U<%s>>>/ID[<00><00>]" % (b"17" * 32, b"42" * 32)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        written
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R/Info %d 0 R%s>>\nstartxref\n%d\n%%%%EOF"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            len(objects),
            secret if locked else b"",
            len(written),
        )
    )
