"""The file that libvirt saves a machine's memory in: it gets another head, and the memory goes through as it is."""

from __future__ import annotations

import io
import struct

import pytest
from savers import save_file

from labctl.errors import SnapshotError
from labctl.providers.save_file import Renamed

WAS = "<domain><name>labctl_x__seed-1-512</name></domain>"
IS = "<domain><name>labctl_full_cpu-0</name><description>Größe</description></domain>"
MEMORY = bytes(range(256)) * 9


def renamed(content: bytes, size: int) -> bytes:
    """The content, handed on in pieces of this size."""
    target = io.BytesIO()
    sink = Renamed(target, IS)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        assert sink.write(piece) == len(piece)
    return target.getvalue()


@pytest.mark.parametrize("cookie", [b"", b"<cookie/>\0"], ids=["no cookie", "a cookie"])
@pytest.mark.parametrize("size", [1, 7, 91, 92, 93, 150, 1000, 1 << 20])
def test_the_head_is_of_the_other_machine_and_the_rest_the_same(size: int, cookie: bytes) -> None:
    said = IS.encode() + b"\0"
    length = len(said).to_bytes(4, "little")
    head = b"LibvirtQemudSave" + b"\2\0\0\0" + length + b"\1\0\0\0" + bytes(4) + bytes(4) + bytes(56)
    assert len(head) == 92
    assert renamed(save_file(WAS, MEMORY, cookie=cookie), size) == head + said + MEMORY


def test_whether_it_ran_is_handed_on() -> None:
    content = bytearray(save_file(WAS, MEMORY))
    content[24] = 0
    assert renamed(bytes(content), 4096)[24] == 0


def test_nothing_is_handed_on_before_the_whole_head_was_there() -> None:
    content = save_file(WAS, b"")
    assert renamed(content[:-1], 4096) == b""
    assert renamed(content, 4096) != b""


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (0, b"LibvirtQemudPart", "LibvirtQemudPart"),  # of one that was not written to its end
        (16, struct.pack("=I", 3), "version 3"),
        (28, struct.pack("=I", 2), "compression 2"),
    ],
    ids=["magic", "version", "compression"],
)
def test_a_form_that_is_not_known_is_refused(offset: int, value: bytes, said: str) -> None:
    content = bytearray(save_file(WAS, MEMORY))
    content[offset : offset + len(value)] = value
    with pytest.raises(SnapshotError, match="not in the form that is known here") as refused:
        renamed(bytes(content), 10)
    assert said in refused.value.why
