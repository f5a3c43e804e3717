"""Packed files: what was packed is unpacked, and found out if it is not what it was."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from labctl import packing
from labctl.errors import SnapshotError
from labctl.packing import Piece


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "content", [b"", b"x", os.urandom(3 << 20), bytes(5 << 20)], ids=["empty", "a byte", "noise", "zeros"]
)
def test_what_was_packed_is_unpacked(tmp_path: Path, content: bytes) -> None:
    source, packed = tmp_path / "source", tmp_path / "packed"
    source.write_bytes(content)
    piece = packing.pack(source, packed)
    assert (piece.file, piece.content, piece.stored) == ("packed", len(content), packed.stat().st_size)
    assert piece.sha256 == packing._sha256(packed)
    sink = io.BytesIO()
    packing.unpack(packed, sink)
    assert sink.getvalue() == content
    with packing.unpacking(packed) as stream:
        assert stream.read() == content
    assert mode(packed) == 0o600


def test_a_file_is_packed_while_it_is_written(tmp_path: Path) -> None:
    content = os.urandom(1 << 20) + bytes(1 << 20)
    growing = packing.Packing(tmp_path / "packed")
    for start in range(0, len(content), 70000):
        part = content[start : start + 70000]
        assert growing.write(part) == len(part)
    piece = growing.close()
    assert piece == Piece(
        file="packed",
        stored=(tmp_path / "packed").stat().st_size,
        content=len(content),
        sha256=packing._sha256(tmp_path / "packed"),
    )
    assert piece.stored < len(content)
    with packing.unpacking(tmp_path / "packed") as stream:
        assert stream.read() == content


def test_what_has_rotted_is_found_when_it_is_unpacked(tmp_path: Path) -> None:
    source, packed = tmp_path / "source", tmp_path / "packed"
    source.write_bytes(b"some content " * 9999)
    packing.pack(source, packed)
    content = packed.read_bytes()
    packed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # in zstd's own checksum
    with pytest.raises(SnapshotError, match="packed is damaged"):
        packing.unpack(packed, io.BytesIO())
    with pytest.raises(SnapshotError, match="packed is damaged"), packing.unpacking(packed) as stream:
        stream.read()


def test_the_files_of_a_lab_keep_their_modes(tmp_path: Path) -> None:
    lab, again = tmp_path / "lab", tmp_path / "again"
    (lab / ".vagrant" / "machines").mkdir(parents=True)
    for name, wanted in (("secrets.yml", 0o600), ("lab.yml", 0o644), (".vagrant/machines/id", 0o600)):
        (lab / name).write_text(name)
        (lab / name).chmod(wanted)
    (lab / "logs").mkdir()
    piece = packing.tar_of(tmp_path / "lab.tar", lab, ["lab.yml", "secrets.yml", ".vagrant", "not there"])
    assert mode(tmp_path / "lab.tar") == 0o600
    assert piece.sha256 == packing._sha256(tmp_path / "lab.tar")
    again.mkdir()
    (again / "lab.yml").write_text("as it was before")
    packing.untar(tmp_path / "lab.tar", again)
    assert {path.name for path in again.iterdir()} == {"lab.yml", "secrets.yml", ".vagrant"}
    assert (again / "lab.yml").read_text() == "lab.yml"
    assert mode(again / "secrets.yml") == mode(again / ".vagrant/machines/id") == 0o600


@pytest.mark.parametrize("way_out", ["../outside", "link/outside"])
def test_an_archive_that_leads_out_of_the_folder_is_refused(tmp_path: Path, way_out: str) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        if way_out.startswith("link"):
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo(way_out))
    (tmp_path / "lab").mkdir()
    with pytest.raises(SnapshotError, match="cannot be unpacked"):
        packing.untar(tmp_path / "bad.tar", tmp_path / "lab")
    assert not (tmp_path / "outside").exists()
