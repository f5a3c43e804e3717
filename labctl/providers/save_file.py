"""The head of a file that libvirt saves a machine's memory in: it says which machine that is. Pure.

A fixed part, then libvirt's XML of the machine, then what QEMU wrote. Libvirt restores no machine under another name,
even if it is told one; a copy of a machine gets another head.
"""

from __future__ import annotations

import struct

from labctl.errors import SnapshotError
from labctl.providers.base import Sink

# Of libvirt's qemu_saveimage.h, in the machine's own byte order: magic, version, length of the XML and what belongs to
# it, whether it was running, compression, where in the XML a second one begins (0: nowhere), and 14 that are not used.
_HEAD = struct.Struct("=16s5I56x")
_MAGIC = b"LibvirtQemudSave"
_VERSION = 2
_PLAIN = 0  # compression


class Renamed:
    """A sink that hands on a saved machine's memory with another description of the machine.

    Args:
        sink: takes it.
        xml: libvirt's, of the machine as it shall be.
    """

    def __init__(self, sink: Sink, xml: str) -> None:
        self._sink = sink
        self._xml = xml.encode() + b"\0"
        self._held = bytearray()
        self._through = False

    def write(self, data: bytes, /) -> int:
        """Take some.

        Raises:
            SnapshotError: it is not libvirt's, or from a time that is not known here.
        """
        if self._through:
            self._sink.write(data)
        else:
            self._held += data
            self._hand_on()
        return len(data)

    def _hand_on(self) -> None:
        if len(self._held) < _HEAD.size:
            return
        magic, version, length, running, compression, _ = _HEAD.unpack_from(self._held)
        if (magic, version, compression) != (_MAGIC, _VERSION, _PLAIN):
            raise SnapshotError(
                "the memory of a machine is not in the form that is known here",
                why=f"its head is {magic!r}, version {version}, compression {compression}",
            )
        end = _HEAD.size + length
        if len(self._held) < end:
            return
        head = _HEAD.pack(magic, version, len(self._xml), running, compression, 0)
        self._sink.write(head + self._xml + bytes(self._held[end:]))
        self._held.clear()
        self._through = True
