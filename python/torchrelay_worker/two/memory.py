"""Anonymous sealed memory: made and filled by who sends, mapped by who receives. Knows nothing of what is in it.

A memory that is sealed can never change or shrink again, so its reader may check it once and then trust it. That is why
nothing unsealed is ever mapped here.
"""

import fcntl
import mmap
import os
import stat
from typing import List, Optional, Tuple

from ..wire import ProtocolError
from .limits import ALIGNMENT

try:
    SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
except AttributeError:  # not Linux
    SEALS = 0


def available() -> bool:
    """Whether this system has such memory."""
    return SEALS != 0 and hasattr(os, "memfd_create")


class Arena:
    """What one frame sends in memory: pieces one after the other, each at an aligned offset."""

    def __init__(self) -> None:
        self._pieces: List[Tuple[int, memoryview]] = []
        self.size = 0

    def add(self, data: memoryview) -> int:
        """The offset at which `data` will be. It must not change until `seal`."""
        offset = -(-self.size // ALIGNMENT) * ALIGNMENT
        self._pieces.append((offset, data))
        self.size = offset + data.nbytes
        return offset

    def seal(self) -> int:
        """A descriptor of the filled and sealed memory, which the caller closes. Raises OSError."""
        descriptor = os.memfd_create("torchrelay", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, self.size)
            for offset, data in self._pieces:
                written = 0
                while written < data.nbytes:
                    written += os.pwrite(descriptor, data[written:], offset + written)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


class Segment:
    """A memory that was received. Views of it live as long as somebody holds them; the descriptor until `close`."""

    def __init__(self, descriptor: int, size: int):
        """Takes the descriptor over in any case. Raises ProtocolError where it is not what was announced."""
        self._descriptor: Optional[int] = descriptor
        self._shared: Optional[memoryview] = None
        self._private: Optional[memoryview] = None
        self.size = size
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def shared(self) -> memoryview:
        """The bytes for reading: whoever writes gets an error."""
        if self._shared is None:
            self._shared = memoryview(self._map(mmap.PROT_READ))
        return self._shared

    def private(self) -> memoryview:
        """The bytes for whom nothing keeps from writing: pages that are written to are copied first."""
        if self._private is None:
            self._private = memoryview(self._map(mmap.PROT_READ | mmap.PROT_WRITE))
        return self._private

    def close(self) -> None:
        """Closes the descriptor. What was mapped stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _map(self, protection: int) -> mmap.mmap:
        if self._descriptor is None:
            raise ProtocolError("a memory is mapped after its frame was read")
        try:
            # Privately for readers, too: before Linux 6.7 a shared mapping of what is sealed against writing is refused.
            return mmap.mmap(self._descriptor, self.size, flags=mmap.MAP_PRIVATE, prot=protection)
        except (OSError, ValueError, OverflowError) as error:
            raise ProtocolError("a memory of %d bytes cannot be mapped: %s" % (self.size, error)) from error

    def _check(self) -> None:
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ProtocolError("a descriptor is no memory")
        try:
            seals = fcntl.fcntl(self._descriptor, fcntl.F_GET_SEALS)
        except OSError as error:
            raise ProtocolError("a descriptor is no memory that can be sealed: %s" % error) from error
        if seals & SEALS != SEALS:
            raise ProtocolError("a memory is not sealed: seals %#x, expected %#x" % (seals, SEALS))
        if found.st_size != self.size or self.size == 0:
            raise ProtocolError("a memory has %d bytes, announced were %d" % (found.st_size, self.size))
