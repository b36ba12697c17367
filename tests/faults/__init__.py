"""The fault matrix: real processes, whose dependencies fail in every foreseeable way."""
