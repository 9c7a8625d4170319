"""The bounds of protocol two, which both sides hold to. PROTOCOL.md has the same table."""

BODY = 16 << 20  # bytes of a frame besides its head
DESCRIPTORS = 64  # memories that a frame refers to
REQUESTS = 4096  # in a batch, and predictions in an answer
PARTS = 4096  # of a request; headers, too
VALUES = 65536  # in a frame, those inside lists and maps counted
DEPTH = 32  # lists and maps inside each other
RANK = 16  # dimensions of a tensor
TENSOR = 1 << 47  # bytes of a tensor, dimensions of size 0 counted as 1
INLINE = 64 << 10  # bytes of a value from which on it travels in memory
INLINE_TOTAL = 4 << 20  # bytes of all values inside a frame, before even small ones travel in memory
ALIGNMENT = 64  # of a value's start within a memory
