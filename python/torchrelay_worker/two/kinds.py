"""The numbers by which a frame says what follows. They never change their meaning."""

JSON = 1
TEXT = 2
BYTES = 3
TENSOR = 4
IMAGE = 5
LIST = 6
MAP = 7
FLOAT = 8

# Where a value's bytes are.
INLINE = 0
MEMORY = 1
