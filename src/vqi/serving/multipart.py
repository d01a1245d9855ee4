"""A form of a browser or of ``curl -F`` -> the photograph in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vqi.serving.refusals import RefusedError

_FORM = b"multipart/form-data"
_MOST = 100  # parts; each costs time


def photograph_in(body: bytes, content_type: str) -> bytes:
    """The bytes of a photograph: the body itself, or the one file in it where it is a form.

    Raises:
        RefusedError: The form is damaged, or has no file, or several.
    """
    kind, options = parse_options_header(content_type)
    if kind != _FORM:
        return body
    form = _Form()
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": form.begin,
                "on_part_data": form.add,
                "on_header_field": form.name,
                "on_header_value": form.value,
                "on_header_end": form.end_header,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, "body", f"the form cannot be read: {error}") from error
    files = [part for part in form.parts if part.is_file]
    if len(files) != 1:
        raise RefusedError(400, "body", f"a form with {len(files)} files: expected one: curl -F image=@part.png")
    if not files[0].data:
        raise RefusedError(400, "body", "the file in the form is empty: send a photograph")
    return bytes(files[0].data)


@dataclass
class _Part:
    data: bytearray = field(default_factory=bytearray)
    is_file: bool = False


class _Form:
    """The parts of a form as the parser finds them; each piece is ``data[start:end]``."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self._name, self._value = b"", b""

    def begin(self) -> None:
        """A part begins."""
        if len(self.parts) == _MOST:
            raise RefusedError(
                400, "body", f"a form with more than {_MOST} parts: expected one: curl -F image=@part.png"
            )
        self.parts.append(_Part())

    def add(self, data: bytes, start: int, end: int) -> None:
        """More of its data."""
        self.parts[-1].data += data[start:end]

    def name(self, data: bytes, start: int, end: int) -> None:
        """More of a header's name."""
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        """More of a header's value."""
        self._value += data[start:end]

    def end_header(self) -> None:
        """A header is complete."""
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self.parts[-1].is_file = b"filename" in options
        self._name, self._value = b"", b""
