"""Makes the pictures and hostile files of the tests, in memory and deterministic: the same call gives the same bytes.

`photograph(width, height, seed=...)` is the picture itself; everything else wraps one in a file format, or breaks one.
Different seeds give pictures that differ to the eye and to a perceptual hash.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

_ZIP_TIME = (2024, 1, 2, 3, 4, 6)


def photograph(width: int = 320, height: int = 240, *, seed: int = 0) -> Image.Image:
    """A photograph-like RGB picture: soft colour fields, one disc as a subject, a little grain."""
    random = np.random.default_rng(seed)
    fields = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    scene = np.asarray(fields.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    rows, columns = np.ogrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (0.2 * min(width, height)) ** 2
    scene = np.where(disc[..., None], random.integers(0, 256, 3), scene)
    scene = scene + random.integers(-6, 7, (height, width, 1))
    return Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    """Any Pillow picture as a file of any format Pillow writes."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def exif_block(
    *,
    orientation: int | None = None,
    captured_at: str = "",
    utc_offset: str = "",
    subsecond: str = "",
    make: str = "",
    model: str = "",
    serial: str = "",
    gps: Mapping[int, object] | None = None,
) -> bytes:
    """An EXIF block with the given facts; `captured_at` as in the file, "2021:03:04 05:06:07"."""
    exif = Image.Exif()
    for tag, value in ((0x0112, orientation), (0x010F, make), (0x0110, model)):
        if value:
            exif[tag] = value
    for tag, text in ((0x9003, captured_at), (0x9011, utc_offset), (0x9291, subsecond), (0xA431, serial)):
        if text:
            exif.get_ifd(0x8769)[tag] = text
    if gps:
        exif.get_ifd(0x8825).update(gps)
    return exif.tobytes()


def gps_at(latitude: float, longitude: float, altitude: float | None = None) -> dict[int, object]:
    """The GPS tags of a place, as `exif_block` takes them."""

    def parts(degrees: float) -> tuple[float, float, float]:
        whole, rest = divmod(abs(degrees), 1)
        minutes, seconds = divmod(rest * 60, 1)
        return whole, minutes, round(seconds * 60, 4)

    tags: dict[int, object] = {1: "S" if latitude < 0 else "N", 2: parts(latitude)}
    tags |= {3: "W" if longitude < 0 else "E", 4: parts(longitude)}
    if altitude is not None:
        tags |= {5: b"\1" if altitude < 0 else b"\0", 6: abs(altitude)}
    return tags


# whole pictures


def jpeg(
    width: int = 320,
    height: int = 240,
    *,
    seed: int = 0,
    quality: int = 85,
    exif: bytes = b"",
    progressive: bool = False,
    restarts: bool = False,
    grey: bool = False,
) -> bytes:
    """A JPEG; baseline and in colour unless asked otherwise."""
    image = photograph(width, height, seed=seed)
    options: dict[str, object] = {"quality": quality, "progressive": progressive}
    if exif:
        options["exif"] = exif
    if restarts:
        options["restart_marker_rows"] = 1
    return encoded(image.convert("L") if grey else image, "JPEG", **options)


def oriented_jpeg(orientation: int, width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A JPEG whose stored pixels are turned so that applying EXIF `orientation` gives `photograph(...)` back."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = photograph(width, height, seed=seed)
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    return encoded(stored, "JPEG", quality=90, exif=exif_block(orientation=orientation))


def cmyk_jpeg(width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A four-ink JPEG as Adobe's programs write it: inverted, with their signature."""
    return encoded(photograph(width, height, seed=seed).convert("CMYK"), "JPEG", quality=90)


def plain_cmyk_jpeg(width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A four-ink JPEG without Adobe's signature, whose inks are not inverted."""
    inks = Image.fromarray(255 - np.asarray(photograph(width, height, seed=seed).convert("CMYK")), "CMYK")
    data = encoded(inks, "JPEG", quality=90)
    at = data.index(b"\xff\xee\x00\x0eAdobe")
    return data[:at] + data[at + 16 :]


def mpo(width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A stereo camera's file: two JPEGs with an index."""
    second = photograph(width, height, seed=seed + 1)
    return encoded(photograph(width, height, seed=seed), "MPO", save_all=True, append_images=[second])


def png(width: int = 320, height: int = 240, *, seed: int = 0, mode: str = "RGB", exif: bytes = b"") -> bytes:
    """A PNG of any mode Pillow converts to: RGB, L, 1, P, RGBA, LA."""
    image = photograph(width, height, seed=seed).convert(mode)
    return encoded(image, "PNG", compress_level=1, **({"exif": exif} if exif else {}))


def png16(width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A 16-bit grey PNG that uses the whole range."""
    grey = np.asarray(photograph(width, height, seed=seed).convert("L"), dtype=np.uint16)
    return encoded(Image.fromarray(grey * 257), "PNG")


def cutout_png(width: int = 320, height: int = 240, *, colour: tuple[int, int, int] = (200, 80, 20)) -> bytes:
    """An RGBA PNG: an opaque ellipse of one colour, everything else transparent (and black underneath)."""
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2) < 0.1
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[inside] = (*colour, 255)
    return encoded(Image.fromarray(pixels), "PNG")


def palette_alpha_png(width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A palette PNG whose first palette entry is transparent."""
    image = photograph(width, height, seed=seed).quantize(16)
    return encoded(image, "PNG", transparency=0)


def animated_png(width: int = 320, height: int = 240, *, frames: int = 3, seed: int = 0) -> bytes:
    """An animated PNG; each frame is another picture."""
    first, *others = (photograph(width, height, seed=seed + number) for number in range(frames))
    return encoded(first, "PNG", save_all=True, append_images=others)


def webp(width: int = 320, height: int = 240, *, seed: int = 0, lossless: bool = False, exif: bytes = b"") -> bytes:
    """A WebP, lossy unless asked otherwise."""
    return encoded(photograph(width, height, seed=seed), "WEBP", lossless=lossless, exif=exif, method=0)


def animated_webp(width: int = 320, height: int = 240, *, frames: int = 3, seed: int = 0) -> bytes:
    """An animated WebP; each frame is another picture."""
    first, *others = (photograph(width, height, seed=seed + number) for number in range(frames))
    return encoded(first, "WEBP", save_all=True, append_images=others, method=0)


def tiff(width: int = 320, height: int = 240, *, seed: int = 0, pages: int = 1, **options: object) -> bytes:
    """A TIFF of one or more pages; options go to Pillow (compression, exif, big_tiff)."""
    first, *others = (photograph(width, height, seed=seed + number) for number in range(pages))
    return encoded(first, "TIFF", save_all=pages > 1, append_images=others, **options)


def avif(width: int = 320, height: int = 240, *, seed: int = 0, **options: object) -> bytes:
    """An AVIF; options go to Pillow (quality, exif)."""
    return encoded(photograph(width, height, seed=seed), "AVIF", speed=10, **options)


# damaged pictures


def truncated_jpeg(share: float = 0.5, width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A JPEG of which only the first `share` of its bytes was copied."""
    data = jpeg(width, height, seed=seed)
    return data[: int(len(data) * share)]


def overwritten_jpeg(width: int = 320, height: int = 240, *, seed: int = 0, filling: bytes = bytes(2048)) -> bytes:
    """A JPEG in whose middle a card lost some sectors."""
    data = bytearray(jpeg(width, height, seed=seed, quality=95))
    middle = len(data) // 2
    data[middle : middle + len(filling)] = filling
    return bytes(data)


def truncated_png(share: float = 0.5, width: int = 320, height: int = 240, *, seed: int = 0) -> bytes:
    """A PNG of which only the first `share` of its bytes was copied."""
    data = png(width, height, seed=seed)
    return data[: int(len(data) * share)]


# hostile and mistaken files


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG with a right checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bomb_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few kilobytes that unpacks to gigapixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def bomb_jpeg() -> bytes:
    """A small JPEG whose header claims 65,000 x 65,000 pixels."""
    data = bytearray(jpeg(16, 16))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(data)


def text_chunk_bomb_png(megabytes: int = 16) -> bytes:
    """A valid small PNG with a compressed text chunk that unpacks to many megabytes."""
    data = png(16, 16)
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(megabytes << 20), 9))
    return data[:33] + text + data[33:]


def scan_bomb_jpeg(scans: int = 1000) -> bytes:
    """A progressive JPEG that repeats its last scan a thousand times: few bytes, much work."""
    data = jpeg(64, 64, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def gif() -> bytes:
    """An ordinary GIF."""
    return encoded(photograph(32, 24), "GIF")


def gif_polyglot() -> bytes:
    """A file that is a GIF to one reader and a script to another."""
    return b"GIF89a/*" + gif()[8:] + b"*/=1;alert(document.cookie);//"


def jpeg_zip_polyglot(*, seed: int = 0) -> bytes:
    """A right JPEG with a zip archive (and a script) behind its end."""
    return jpeg(seed=seed) + b"<script>alert(1)</script>" + archive({"inner.txt": b"hello"})


def html_named_jpg() -> bytes:
    """What a download leaves that was answered with an error page."""
    return b"<!DOCTYPE html>\n<html><head><title>403</title></head><body>Forbidden</body></html>\n"


def zero_byte() -> bytes:
    """A file of no bytes."""
    return b""


def zeros(length: int = 4096) -> bytes:
    """A file whose content a failing card lost altogether."""
    return bytes(length)


def random_bytes(length: int = 4096, *, seed: int = 0) -> bytes:
    """A file of no format at all."""
    return b"\x07" + np.random.default_rng(seed).bytes(length - 1)


def heic_header() -> bytes:
    """The start of a telephone's HEIC file."""
    return struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100)


def svg() -> bytes:
    """A drawing that carries a script."""
    return b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def raw_tiff() -> bytes:
    """A camera raw file in TIFF's clothes: a stamp-sized first page with the DNG version tag."""
    entries = [(256, 3, 1, 160), (257, 3, 1, 120), (262, 3, 1, 2), (50706, 1, 4, 0x01040000)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)


# archives


def archive(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of the given names and contents, always with the same time stamps."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as bundle:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.compress_type = compression
            bundle.writestr(entry, content)
    return file.getvalue()


def zip_slip() -> bytes:
    """A zip whose names climb out of the folder it is unpacked in."""
    names = ("../../escaped.jpg", "/etc/escaped.jpg", "C:\\escaped.jpg", "..\\escaped.jpg", "good.jpg")
    return archive({name: jpeg(32, 32, seed=number) for number, name in enumerate(names)})


def zip_bomb(megabytes: int = 64, *, entries: int = 16) -> bytes:
    """A zip of some kilobytes that unpacks to `entries` times `megabytes`: all names share one block of data."""
    content = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    packed = b"".join(content.compress(block) for _ in range(megabytes)) + content.flush()
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    sizes = struct.pack("<III", checksum, len(packed), megabytes << 20)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", 5, 0) + b"0.jpg"
    central = b"".join(
        b"PK\x01\x02"
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33)
        + sizes
        + struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0)
        + f"{number:x}.jpg".encode()
        for number in range(min(entries, 16))
    )
    body = local + packed
    end = struct.pack("<HHHHIIH", 0, 0, min(entries, 16), min(entries, 16), len(central), len(body), 0)
    return body + central + b"PK\x05\x06" + end


def zip_lying() -> bytes:
    """A zip whose directory says that an entry of a megabyte has ten bytes."""
    data = bytearray(archive({"small.jpg": bytes(1 << 20)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


def zip_nested() -> bytes:
    """A zip in a zip, beside one right picture."""
    return archive({"inner.zip": archive({"deep.jpg": jpeg(32, 32)}), "good.jpg": jpeg(32, 32, seed=1)})


def zip_encrypted() -> bytes:
    """A zip whose only entry is marked as encrypted."""
    data = bytearray(archive({"secret.jpg": jpeg(32, 32)}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zip_symlink(target: str = "/etc/passwd") -> bytes:
    """A zip with a symbolic link out of the archive, beside one right picture."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        link = zipfile.ZipInfo("link.jpg", _ZIP_TIME)
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        bundle.writestr(link, target)
        bundle.writestr(zipfile.ZipInfo("good.jpg", _ZIP_TIME), jpeg(32, 32))
    return file.getvalue()
