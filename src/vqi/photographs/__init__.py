"""One photograph at a time: bytes to pixels, and which photographs show the same part."""
