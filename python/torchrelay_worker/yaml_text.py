"""YAML for a Python that may have no PyYAML: that package's if it is there, the usual part of the language if not.

Read without PyYAML: mappings and lists in either style, plain, quoted and block texts, anchors, aliases, merge keys and
comments, with the scalars of YAML 1.1. Anything else is refused with its line rather than misread. Called for
`metrics.yaml` and `model-config.yaml`.
"""

import re
from typing import Any, Dict, List, Optional, Tuple


def load(text: str, name: str) -> Any:
    """The value of a document; None for an empty one. Raises ValueError, whose text begins with `name`."""
    try:
        import yaml
    except ImportError:
        return load_plainly(text, name)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("%s: %s" % (name, " ".join(str(error).split()))) from error


def load_plainly(text: str, name: str) -> Any:
    """As `load`, without PyYAML in any case."""
    return _Document(text, name).read()


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F_]+$")
_OCTAL = re.compile(r"[-+]?0[0-7_]+$")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$")
_WORDS = {"": None, "~": None, "null": None}
_WORDS.update({word: True for word in ("true", "yes", "on")})
_WORDS.update({word: False for word in ("false", "no", "off")})
_WORDS.update({".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")})
_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>%@`"'{\[,\]}?-][^#]*?|[?-][^\s#][^#]*?)\s*:(?:\s+|$)"""
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\", "/": "/", " ": " ", "e": "\x1b"}
_DEPTH = 64


def scalar(text: str) -> Any:
    """A plain scalar's value, as YAML 1.1 has it."""
    lowered = text.lower()
    if lowered in _WORDS and text in (lowered, lowered.capitalize(), lowered.upper()):
        return _WORDS[lowered]
    digits = text.replace("_", "")
    if _INTEGER.match(text):
        return int(digits)
    if _HEX.match(text):
        return int(digits, 16)
    if _OCTAL.match(text):
        return int(digits, 8)
    if _FLOAT.match(text):
        return float(digits)
    return text


class _Document:
    def __init__(self, text: str, name: str):
        self.name = name
        self.lines = text.splitlines()
        self.at = 0
        self.anchors: Dict[str, Any] = {}

    def read(self) -> Any:
        if self._peek() is None:
            return None
        if self.lines[self.at].rstrip() == "---":
            self.at += 1
        value = self._block(0, 0)
        if self._peek() is not None:
            raise self._error("cannot be read here")
        return value

    def _error(self, what: str) -> ValueError:
        return ValueError("%s: line %d %s (read without PyYAML)" % (self.name, self.at + 1, what))

    def _peek(self) -> Optional[Tuple[int, str]]:
        """Indentation and text of the next line that says something."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            text = _without_comment(line).strip()
            if text:
                spaces = len(line) - len(line.lstrip(" "))
                if line[spaces] == "\t":
                    raise self._error("is indented with a tab")
                return spaces, text
            self.at += 1
        return None

    def _block(self, least: int, depth: int) -> Any:
        """The value that begins at the next line, if it is indented by `least` or more."""
        if depth > _DEPTH:
            raise self._error("is nested too deeply")
        found = self._peek()
        if found is None or found[0] < least:
            return None
        indent, text = found
        if text == "-" or text.startswith("- "):
            return self._list(indent, depth)
        if _KEY.match(text):
            return self._mapping(indent, depth)
        self.at += 1
        return self._inline(text, indent, depth)

    def _list(self, indent: int, depth: int) -> List[Any]:
        items: List[Any] = []
        while True:
            found = self._peek()
            if found is None or found[0] < indent or not (found[1] == "-" or found[1].startswith("- ")):
                if found is not None and found[0] > indent:
                    raise self._error("is indented further than its list")
                return items
            if found[0] > indent:
                raise self._error("is indented further than its list")
            rest = found[1][1:].lstrip()
            if _KEY.match(rest) or rest == "-" or rest.startswith("- "):
                # What follows the dash is a block of its own, which begins where it stands.
                line = self.lines[self.at]
                start = line.index("-", indent) + 1
                self.lines[self.at] = " " * start + line[start:]
                items.append(self._block(indent + 1, depth + 1))
            else:
                self.at += 1
                items.append(self._value(rest, indent, depth))

    def _mapping(self, indent: int, depth: int) -> Dict[Any, Any]:
        members: Dict[Any, Any] = {}
        merged: List[Dict[Any, Any]] = []
        while True:
            found = self._peek()
            if found is None or found[0] < indent:
                break
            match = _KEY.match(found[1])
            if found[0] > indent or match is None:
                if found[1].startswith("- ") and found[0] == indent:
                    break
                raise self._error("is no member of its mapping: %r" % found[1][:40])
            key_text, rest = match.group(1), found[1][match.end() :]
            self.at += 1
            key = _Flow(key_text, self).whole() if key_text[0] in "\"'" else scalar(key_text)
            # A list may stand under its key without being indented.
            value = self._value(rest, indent, depth, lists_at=indent)
            if key == "<<":
                merged.extend(value if isinstance(value, list) else [value])
            else:
                members[key] = value
        for other in merged:
            if not isinstance(other, dict):
                raise self._error("follows a merge of what is no mapping")
            for key, value in other.items():
                members.setdefault(key, value)
        return members

    def _value(self, rest: str, indent: int, depth: int, lists_at: Optional[int] = None) -> Any:
        """What follows a key or a dash: on the same line, or as a block below it."""
        if rest.startswith("&"):
            name, _, rest = rest[1:].partition(" ")
            value = self._value(rest.strip(), indent, depth, lists_at)
            self.anchors[name] = value
            return value
        if rest:
            return self._inline(rest, indent, depth)
        found = self._peek()
        if found is not None and found[0] == lists_at and (found[1] == "-" or found[1].startswith("- ")):
            return self._list(found[0], depth + 1)
        return self._block(indent + 1, depth + 1)

    def _inline(self, text: str, indent: int, depth: int) -> Any:
        if text[0] in "|>":
            return self._text(text, indent)
        if text[0] in "!%@`?":
            self.at -= 1
            raise self._error("begins with %r" % text[0])
        while text[0] in "{[\"'" and not _Flow(text, self).is_complete():
            found = self._peek()
            if found is None:
                self.at -= 1
                raise self._error("begins something that does not end")
            text += " " + found[1]
            self.at += 1
        value = _Flow(text, self).whole()
        found = self._peek()
        if found is not None and found[0] > indent:
            raise self._error("goes on with a text of the line before")
        return value

    def _text(self, head: str, indent: int) -> str:
        """A block text: `|` keeps lines, `>` folds them; `-` and `+` say what becomes of the last line's end."""
        if head not in ("|", ">", "|-", ">-", "|+", ">+"):
            self.at -= 1
            raise self._error("has a block text of another kind than | and >")
        lines: List[str] = []
        inner: Optional[int] = None
        while self.at < len(self.lines):
            line = self.lines[self.at]
            spaces = len(line) - len(line.lstrip(" "))
            if line.strip():
                inner = spaces if inner is None else inner
                if spaces < inner or spaces <= indent:
                    break
            lines.append(line[inner:] if inner is not None else "")
            self.at += 1
        kept = len(lines)
        while kept and not lines[kept - 1].strip():
            kept -= 1
        body, blank = lines[:kept], len(lines) - kept
        if head[0] == ">":
            if any(line.startswith((" ", "\t")) for line in body):
                raise self._error("follows a folded text with lines that are indented further")
            text = re.sub(r"(?<!\n)\n(?!\n)", " ", "\n".join(body))
            text = re.sub(r"\n(\n+)", r"\1", text)
        else:
            text = "\n".join(body)
        if head.endswith("-") or not body:
            return text
        return text + "\n" * (1 + blank if head.endswith("+") else 1)


class _Flow:
    """A value that is written on a line: `{a: [1, "b"]}`, a scalar, an alias."""

    def __init__(self, text: str, document: _Document):
        self.text = text
        self.at = 0
        self.document = document

    def whole(self) -> Any:
        if self.text[0] not in "{[\"'*":
            return scalar(self.text)
        value = self._value(0)
        if self.text[self.at :].strip():
            raise self.document._error("follows a value that goes on: %r" % self.text[self.at :][:40])
        return value

    def is_complete(self) -> bool:
        try:
            self._value(0)
            return True
        except IndexError:
            return False

    def _value(self, depth: int) -> Any:
        if depth > _DEPTH:
            raise self.document._error("is nested too deeply")
        self._skip()
        start = self.text[self.at]
        if start == "&":
            name = self._word()[1:]
            value = self._value(depth)
            self.document.anchors[name] = value
            return value
        if start == "*":
            name = self._word()[1:]
            if name not in self.document.anchors:
                raise self.document._error("refers to %r, which is defined nowhere above" % name)
            return self.document.anchors[name]
        if start in "\"'":
            return self._quoted(start)
        if start == "[":
            return self._items("]", lambda: self._value(depth + 1))
        if start == "{":
            return dict(self._items("}", lambda: self._pair(depth + 1)))
        if start in "!%@`|>?":
            raise self.document._error("has a value that begins with %r" % start)
        return scalar(self._plain())

    def _items(self, end: str, read) -> list:
        self.at += 1
        found = []
        while True:
            self._skip()
            if self.text[self.at] == end:
                self.at += 1
                return found
            found.append(read())
            self._skip()
            if self.text[self.at] == ",":
                self.at += 1
            elif self.text[self.at] != end:
                raise self.document._error("lacks a comma before %r" % self.text[self.at :][:40])

    def _pair(self, depth: int) -> Tuple[Any, Any]:
        key = self._value(depth)
        self._skip()
        if self.text[self.at] != ":":
            return key, None
        self.at += 1
        self._skip()
        return key, None if self.text[self.at] in ",}" else self._value(depth)

    def _plain(self) -> str:
        start = self.at
        while self.text[self.at] not in ",[]{}":
            if self.text[self.at] == ":" and self.text[self.at + 1] in " ,[]{}":
                break
            self.at += 1
        return self.text[start : self.at].strip()

    def _word(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in " ,[]{}":
            self.at += 1
        return self.text[start : self.at]

    def _quoted(self, quote: str) -> str:
        self.at += 1
        parts: List[str] = []
        while True:
            letter = self.text[self.at]
            self.at += 1
            if letter != quote and not (letter == "\\" and quote == '"'):
                parts.append(letter)
            elif letter == "\\":
                parts.append(self._escape())
            elif quote == "'" and self.text[self.at : self.at + 1] == "'":
                parts.append("'")
                self.at += 1
            else:
                return "".join(parts)

    def _escape(self) -> str:
        letter = self.text[self.at]
        self.at += 1
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        width = {"x": 2, "u": 4, "U": 8}.get(letter)
        digits = self.text[self.at : self.at + (width or 0)]
        if width is None or not re.match(r"[0-9a-fA-F]{%d}$" % width, digits):
            raise self.document._error("has an escape \\%s that is not known" % letter)
        self.at += width
        return chr(int(digits, 16))

    def _skip(self) -> None:
        while self.text[self.at] == " ":
            self.at += 1


def _without_comment(line: str) -> str:
    """The line up to a comment, which begins at a # after a space, outside quotes."""
    if "#" not in line:
        return line
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            if letter == quote and not (quote == '"' and line[at - 1] == "\\"):
                quote = ""
        elif letter in "\"'" and (at == 0 or line[at - 1] in " [{,:-"):
            quote = letter
        elif letter == "#" and (at == 0 or line[at - 1] in " \t"):
            return line[:at]
    return line
