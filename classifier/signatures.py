"""Tells by their first bytes which files are pictures Osprey reads, and names the ones it does not."""

from __future__ import annotations

from classifier.errors import ImageRejected

HEAD_BYTES = 1024

_SAVE_AS = "Save or export it as JPEG or PNG and upload that."
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"GIF87a", "a GIF", _SAVE_AS),
    (b"GIF89a", "a GIF", _SAVE_AS),
    (b"BM", "a BMP bitmap", _SAVE_AS),
    (b"8BPS", "a Photoshop document", _SAVE_AS),
    (b"%PDF-", "a PDF document", "Export the picture on its page as JPEG or PNG and upload that."),
    (b"%!PS", "a PostScript file", _SAVE_AS),
    (b"\xc5\xd0\xd3\xc6", "an EPS file", _SAVE_AS),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", _SAVE_AS),
    (b"\xff\x0a", "a JPEG XL picture", _SAVE_AS),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _SAVE_AS),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _SAVE_AS),
    (b"\0\0\1\0", "an icon file", _SAVE_AS),
    (b"IIRO", "an Olympus raw file", "Develop it to JPEG or TIFF and upload that."),
    (b"IIRS", "an Olympus raw file", "Develop it to JPEG or TIFF and upload that."),
    (b"IIU\0", "a Panasonic raw file", "Develop it to JPEG or TIFF and upload that."),
    (b"FUJIFILMCCD-RAW", "a Fujifilm raw file", "Develop it to JPEG or TIFF and upload that."),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", _SAVE_AS),
    (b"SIMPLE  =", "a FITS file", _SAVE_AS),
    (b"DDS ", "a DirectDraw texture", _SAVE_AS),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video", "Extract single frames as JPEG and upload those."),
    (b"PK\x03\x04", "a zip archive", "Upload it with the ending .zip, or unpack it and upload the pictures in it."),
    (b"PK\x05\x06", "an empty zip archive", "Upload the pictures themselves."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it and upload the pictures in it, or a .zip of them."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and upload the pictures in it, or a .zip of them."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and upload the pictures in it, or a .zip of them."),
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIC_WAY_OUT = "On an iPhone choose Settings, Camera, Formats, Most Compatible; or export the picture as JPEG."


def format_of(head: bytes) -> str:
    """Name the accepted format a file starts as, or raise ImageRejected naming what it is and the way out."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        if head[8:10] == b"CR":
            raise unsupported("a Canon raw file", "Develop it to JPEG or TIFF and upload that.")
        return "TIFF"
    raise _refusal(head)


def unsupported(what: str, way_out: str) -> ImageRejected:
    """Build the refusal of a format that is known but not read."""
    return ImageRejected("unsupported-format", f"This is {what}, which Osprey does not read. {way_out}", status=415)


def _format_of_brands(head: bytes) -> str:
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(length, len(head), 256), 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIC_BRANDS or head[8:12] in (b"mif1", b"msf1"):
        raise unsupported("a HEIC picture", _HEIC_WAY_OUT)
    if b"crx " in brands:
        raise unsupported("a Canon raw file", "Develop it to JPEG or TIFF and upload that.")
    raise unsupported("a video (MP4 or QuickTime)", "Extract single frames as JPEG and upload those.")


def _refusal(head: bytes) -> ImageRejected:
    for start, what, way_out in _STARTS:
        if head.startswith(start):
            return unsupported(what, way_out)
    if head.startswith(b"RIFF"):
        return unsupported("a video or sound (RIFF)", "Extract single frames as JPEG and upload those.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return unsupported("an SVG drawing", _SAVE_AS)
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")) or b"<html" in text:
        what = "This is a web page, not a picture; perhaps a download that answered with an error page."
    elif text.startswith((b"<?xml", b"{", b"[")) or all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        what = "This is a text file, not a picture."
    elif not head.strip(b"\0"):
        what = "This file holds only zeros, as a failing memory card leaves behind; there is no picture in it."
    else:
        what = "This is not a picture in any format Osprey knows."
    return ImageRejected("not-an-image", f"{what} Upload JPEG, PNG, WebP, TIFF or AVIF.", status=415)
