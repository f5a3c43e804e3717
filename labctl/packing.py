"""Packed files: compressed or put together, each known by its size and its hash, and readable by its owner alone."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zstandard
from pydantic import BaseModel, ConfigDict

from labctl.errors import DamagedError
from labctl.providers.base import Sink

_LEVEL = -1  # of zstd: memory must be unpacked within a second, and a smaller file is slower to unpack
_CHUNK = 1 << 20  # bytes


class Piece(BaseModel):
    """A packed file: its name, its size as it is stored and as it is unpacked (bytes), its SHA-256 as stored."""

    model_config = ConfigDict(frozen=True)
    file: str
    stored: int
    content: int
    sha256: str


class _Summing:
    """A file being written: counts and sums what goes into it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._sum.update(data)
        self.size += len(data)
        return self._stream.write(data)

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()


class Packing:
    """A file that is packed while it is written; `close` tells what it has become."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = open(path, "wb", opener=_private)  # noqa: SIM115 - closed in `close`
        self._sums = _Summing(self._stream)
        self._packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._content = 0

    def write(self, data: bytes) -> int:
        """Add some of the content."""
        self._content += len(data)
        self._sums.write(self._packer.compress(data))
        return len(data)

    def close(self) -> Piece:
        """All of it was written."""
        self._sums.write(self._packer.flush())
        self._stream.close()
        return Piece(
            file=self._path.name, stored=self._sums.size, content=self._content, sha256=self._sums.sha256
        )


def pack(source: Path, target: Path) -> Piece:
    """Pack a file."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with source.open("rb") as reading, open(target, "wb", opener=_private) as stream:
        sums = _Summing(stream)
        content, _ = compressor.copy_stream(reading, sums, size=source.stat().st_size, read_size=_CHUNK)  # type: ignore[arg-type]
    return Piece(file=target.name, stored=sums.size, content=content, sha256=sums.sha256)


def unpack(path: Path, sink: Sink) -> None:
    """Write a packed file's content to a stream.

    Raises:
        DamagedError: the file is damaged or gone.
    """
    try:
        with path.open("rb") as reading:
            zstandard.ZstdDecompressor().copy_stream(
                reading,
                sink,  # type: ignore[arg-type]  # it is only written to
                read_size=_CHUNK // 4,
                write_size=_CHUNK // 2,
            )
    except (FileNotFoundError, zstandard.ZstdError) as error:
        raise DamagedError(f"{path} is damaged", why=str(error)) from error


@contextmanager
def unpacking(path: Path) -> Iterator[IO[bytes]]:
    """A stream of a packed file's content.

    Raises:
        DamagedError: the file is damaged or gone.
    """
    try:
        with path.open("rb") as reading, zstandard.ZstdDecompressor().stream_reader(reading) as stream:
            yield stream
    except (FileNotFoundError, zstandard.ZstdError) as error:
        raise DamagedError(f"{path} is damaged", why=str(error)) from error


def tar_of(path: Path, directory: Path, names: Iterable[str]) -> Piece:
    """Pack these files and folders of a directory, as far as they are there; their modes are kept."""
    tar(path, {name: directory / name for name in names if (directory / name).exists()})
    size = path.stat().st_size
    return Piece(file=path.name, stored=size, content=size, sha256=_sha256(path))


def tar(path: Path, files: Mapping[str, Path]) -> None:
    """Write these files and folders, by their names in it, into an archive that only its owner can read."""
    with open(path, "wb", opener=_private) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, source in files.items():
            archive.add(source, arcname=name)


def untar(path: Path, directory: Path) -> None:
    """Unpack an archive; nothing of it lands outside of the directory.

    Raises:
        DamagedError: it cannot be read, or tries to.
    """
    try:
        with tarfile.open(path) as archive:
            archive.extractall(directory, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise DamagedError(f"{path} cannot be unpacked", why=str(error)) from error


def damage(path: Path, piece: Piece) -> str:
    """In what a file is not the one that was packed; empty if it is. The whole file is read."""
    if not path.is_file():
        return f"{path} is missing"
    if path.stat().st_size != piece.stored:
        return f"{path} has {path.stat().st_size} bytes and not {piece.stored}"
    return "" if _sha256(path) == piece.sha256 else f"{path} is not the file that was saved"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
