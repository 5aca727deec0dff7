"""Hostile data for tests: image files of every unusual kind, and a folder that tries everything a disk allows.

Used by the tests of several modules; it asserts nothing itself.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms


def png(level: int = 128, size: tuple[int, int] = (8, 8)) -> bytes:
    """A grey PNG image of a level with one other row; different levels give different bytes."""
    image = Image.new("L", size, level)
    image.paste((level + 128) % 256, (0, 0, size[0], 1))
    return encode(image, "PNG")


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def picture(size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A smooth RGB picture without any symmetry: turning or mirroring it shows."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 200 // max(width - 1, 1), y * 250 // max(height - 1, 1), (x + 2 * y) * 100 // (width + 2 * height))
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _png_of((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))


def _png_of(*parts: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def png_deep(levels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads but does not write; levels are uint16 [height, width, 3 or 4]."""
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)
    return _png_of((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))


def tiff_of(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of one directory of (tag, type, count, value), which names the directory after it."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + body + struct.pack("<I", following)


def tiff_in_a_loop() -> bytes:
    """A TIFF whose directory names itself as the next one."""
    data = bytearray(encode(picture(), "TIFF"))
    at = struct.unpack("<I", data[4:8])[0]
    end = at + 2 + 12 * struct.unpack("<H", data[at : at + 2])[0]
    data[end : end + 4] = struct.pack("<I", at)
    return bytes(data)


def gif_of_many(frames: int) -> bytes:
    """A GIF that repeats its frame."""
    one = encode(picture().quantize(16), "GIF")
    return one[:-1] + one[one.index(b"\x2c") : -1] * (frames - 1) + b"\x3b"


def png_with(kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    whole = encode(picture(), "PNG")
    return whole[:33] + _png_of((kind, body))[8:] + whole[33:]


def readable_images() -> dict[str, bytes]:
    """File name -> bytes of images that are unusual but whole."""
    rgb = picture()
    grey = rgb.convert("L")
    alpha = rgb.copy()
    alpha.putalpha(grey)
    deep = np.asarray(grey).astype(np.uint16) * 257
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [rgb.quantize(16), rgb.rotate(180).quantize(16)]
    palette = rgb.quantize(8)
    wide = np.asarray(rgb).astype(np.uint16) * 257
    profiles = {space: ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes() for space in ("LAB", "sRGB")}
    return {
        "plain.png": encode(rgb, "PNG"),
        "plain.jpg": encode(rgb, "JPEG", quality=95),
        "plain.bmp": encode(rgb, "BMP"),
        "plain.webp": encode(rgb, "WEBP", lossless=True),
        "plain.tif": encode(rgb, "TIFF"),
        "plain.ppm": encode(rgb, "PPM"),
        "compressed.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
        "grey.png": encode(grey, "PNG"),
        "grey.jpg": encode(grey, "JPEG"),
        "grey-alpha.png": encode(alpha.convert("LA"), "PNG"),
        "bilevel.png": encode(grey.convert("1"), "PNG"),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "cmyk.tif": encode(rgb.convert("CMYK"), "TIFF"),
        "lab.tif": encode(rgb.convert("LAB"), "TIFF"),
        "ycbcr.tif": encode(rgb.convert("YCbCr"), "TIFF"),
        "rgba.png": encode(alpha, "PNG"),
        "rgba.webp": encode(alpha, "WEBP"),
        "palette.png": encode(palette, "PNG"),
        "palette-key.png": encode(palette, "PNG", transparency=3),
        "palette-alpha.png": encode(palette, "PNG", transparency=bytes(range(0, 256, 32))),
        "rgb-key.png": encode(rgb, "PNG", transparency=(0, 0, 0)),
        "16-bit.png": encode(Image.fromarray(deep), "PNG"),
        "16-bit.tif": encode(Image.fromarray(deep), "TIFF"),
        "16-bit-rgb.png": png_deep(wide),
        "16-bit-rgba.png": png_deep(np.dstack([wide, np.full_like(wide[..., :1], 65535)])),
        "32-bit.tif": encode(Image.fromarray(deep.astype(np.int32)), "TIFF"),
        "float.tif": encode(Image.fromarray(np.asarray(grey).astype(np.float32) / 255), "TIFF"),
        "nan.tif": encode(Image.fromarray(np.full((16, 24), np.nan, np.float32)), "TIFF"),
        "exif.jpg": encode(rgb, "JPEG", exif=turned),
        "bad-exif.jpg": encode(rgb, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(range(40))),
        "bad-profile.jpg": encode(rgb, "JPEG", icc_profile=bytes(range(200))),
        "bad-profile.png": encode(rgb, "PNG", icc_profile=b"nothing of the kind"),
        "lab-profile.jpg": encode(rgb, "JPEG", icc_profile=profiles["LAB"]),
        "rgb-profile.cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG", icc_profile=profiles["sRGB"]),
        "rgb-profile.grey.png": encode(grey, "PNG", icc_profile=profiles["sRGB"]),
        "progressive.jpg": encode(rgb, "JPEG", progressive=True),
        "animated.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50),
        "animated.png": encode(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)], duration=50),
        "animated.webp": encode(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], lossless=True),
        "many-frames.gif": gif_of_many(20_000),
        "claimed-frames.png": png_with(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        "loop.tif": tiff_in_a_loop(),
        "1x1.png": encode(rgb.resize((1, 1)), "PNG"),
        "10000x1.png": encode(rgb.resize((10_000, 1)), "PNG"),
        "1x10000.jpg": encode(rgb.resize((1, 10_000)), "JPEG"),
        "really-a-png.jpg": encode(rgb, "PNG"),
    }


def unreadable_images() -> dict[str, bytes]:
    """File name -> bytes that no image can be had from."""
    rgb = picture()
    jpeg, whole = encode(rgb, "JPEG"), encode(rgb, "PNG")
    return {
        "zero-bytes.jpg": b"",
        "one-byte.png": b"\x89",
        "text.jpg": b"Dear curator, this is no image.\n",
        "page.png": b"<html><script>alert(1)</script></html>",
        "header-only.jpg": jpeg[:20],
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "truncated.png": whole[: len(whole) // 2],
        "truncated.gif": encode(rgb.quantize(16), "GIF")[:60],
        "truncated.tif": encode(rgb, "TIFF")[:100],
        "truncated.webp": encode(rgb, "WEBP")[:60],
        "bomb.png": png_claiming(60_000, 60_000),
        "wide-bomb.png": png_claiming(2_000_000_000, 1),
        "text-bomb.png": png_with(b"zTXt", b"k\0\0" + zlib.compress(bytes(20_000_000))),
        "profile-bomb.png": png_with(b"iCCP", b"k\0\0" + zlib.compress(bytes(20_000_000))),
        "samples.tif": tiff_of((256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 1, 8), (262, 3, 1, 2), (277, 3, 1, 65535)),
        "icon.png": encode(rgb.resize((32, 32)), "ICO"),
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "document.jpg": b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n",
        "vector.png": b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
        "scans.jpg": encode(rgb, "JPEG", progressive=True)[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 5_000,
    }


@dataclass
class HostileFolder:
    """What was made: `listed` paths must be in the table, `skipped` ones named with a reason that holds the words."""

    root: Path
    listed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)


HOSTILE_NAMES = (
    "new\nline.png",
    "carriage\rreturn.png",
    "tab\there.png",
    "quotes\"and'commas,;.png",
    "=cmd|' C calc'!A0.png",
    "<img src=x onerror=alert(1)>.png",
    "\x1b[31mred\x1b[0m.png",
    "\u202egnp.exe.png",
    "\U0001f600 emoji \u2028 separators.png",
    "e\u0301 decomposed.png",
    "back\\slash.png",
    " leading and trailing .png",
    "-rf.png",
    "%s%n{0}${HOME}`id`.png",
    "a" * 251 + ".png",
    "UPPER.PNG",
)


def hostile_folder(root: Path) -> HostileFolder:
    """Class folders a and b below `root`, with everything that a Linux file system lets a name or an entry be."""
    made = HostileFolder(root)
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(3):
            (root / label / f"good{number}.png").write_bytes(png(number + 10 * (label == "b")))
            made.listed.add(f"{label}/good{number}.png")
    for number, name in enumerate(HOSTILE_NAMES):
        (root / "a" / name).write_bytes(png(100 + number))
        made.listed.add(f"a/{name}")
    _odd_names(made)
    _links(made)
    _special(made)
    deep = root / "b" / "deeper" / "and deeper"
    deep.mkdir(parents=True)
    (deep / "nested.png").write_bytes(png(90))
    made.listed.add("b/deeper/and deeper/nested.png")
    return made


def _odd_names(made: HostileFolder) -> None:
    (made.root / "a" / os.fsdecode(b"not\xffutf8.png")).write_bytes(png(200))
    made.skipped["a/not\\xffutf8.png"] = "not valid UTF-8"
    for name in (".hidden.png", "Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt"):
        (made.root / "a" / name).write_bytes(png(201))
        made.ignored.add(f"a/{name}")
    (made.root / "a" / "photo.heic").write_bytes(b"unknown kind")
    made.skipped["a/photo.heic"] = ".heic"
    (made.root / "stray.png").write_bytes(png(202))
    made.skipped["stray.png"] = "not in a class folder"


def _links(made: HostileFolder) -> None:
    outside = made.root.parent / (made.root.name + "-outside")
    outside.mkdir()
    (outside / "secret.png").write_bytes(png(203))
    folder = made.root / "b"
    for name, target, words in (
        ("loop.png", "loop.png", "leads nowhere"),
        ("dangling.png", "nothing-there.png", "leads nowhere"),
        ("escape.png", str(outside / "secret.png"), "outside the root"),
        ("escape-dotdot.png", f"../../{outside.name}/secret.png", "outside the root"),
        ("escape-folder", str(outside), "outside the root"),
        ("passwd.png", "/etc/passwd", "outside the root"),
        ("device.png", "/dev/zero", "outside the root"),
        ("self", ".", "already listed"),
        ("up", "..", "already listed"),
        ("other-class", "../a", "already listed"),
    ):
        (folder / name).symlink_to(target)
        made.skipped[f"b/{name}"] = words
    (folder / "inner-link.png").symlink_to("good0.png")
    made.listed.add("b/inner-link.png")


def _special(made: HostileFolder) -> None:
    folder = made.root / "b"
    os.mkfifo(folder / "pipe.png")
    made.skipped["b/pipe.png"] = "named pipe"
    (folder / "pipe-link.png").symlink_to("pipe.png")
    made.skipped["b/pipe-link.png"] = "named pipe"
    here = os.open(folder, os.O_RDONLY)
    try:
        # A socket's address is at most 108 bytes long, so it is bound through the open folder.
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/socket.png")
    finally:
        os.close(here)
    made.skipped["b/socket.png"] = "socket"
    (folder / "folder.png").mkdir()
