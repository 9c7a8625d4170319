"""Protocol two: large values by reference, in sealed memory that both processes map. PROTOCOL.md has every byte of it."""
