"""Text from anybody, such as the name of an upload, made to show all that it holds."""


def harmless(value: str) -> str:
    """The text with every character that a terminal or a page would obey, or that would hide others, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
