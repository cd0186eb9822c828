"""Finds functions by name in C source, so that a lab can say which ones its students write.

It knows comments, strings, directives, braces and parentheses, and nothing of types: enough for the
house's code, and a file whose braces don't balance is refused instead of guessed at. Must never
change a byte outside the function it was asked for.
"""

import dataclasses
import re

TOKEN = re.compile(r"""
    (?P<skip>//(?:\\\n|[^\n])*|/\*.*?\*/|^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark>[^\sA-Za-z_])""", re.VERBOSE | re.DOTALL | re.MULTILINE)
ATTRIBUTES = {"__attribute__", "__asm__", "asm", "_Alignas", "__declspec"}
OPENING, CLOSING = "({[", ")}]"


class NotFound(Exception):
    """The function is not in the source, or is there more than once; or the source is not C."""


@dataclasses.dataclass
class Function:
    """Offsets into the source: of the first word, of the opening brace, behind the closing one."""
    name: str
    start: int
    brace: int
    end: int
    static: bool
    inline: bool


class Header:
    """The words at the outermost level since the last declaration ended."""

    def __init__(self):
        self.start, self.words, self.name, self.pending = None, [], None, None
        self.depth, self.initialiser, self.after_attribute = 0, False, False

    def add(self, kind, text, at):
        if self.start is None:
            self.start = at
        if kind == "word":
            self.pending = text
            if not self.depth:
                self.words.append(text)
            return
        if text == "(" and not self.depth and not self.name and self.pending not in ATTRIBUTES:
            self.name = self.pending
        if kind == "mark" and text in OPENING:
            self.depth += 1
        elif kind == "mark" and text in CLOSING:
            self.depth -= 1
        elif text == "=" and not self.depth:
            self.initialiser = True
        self.pending = None

    def is_function(self):
        return bool(self.name) and not self.initialiser and not self.depth


def functions(source):
    """All function definitions, in order."""
    found, header, braces = [], Header(), []
    for match in TOKEN.finditer(source):
        kind, text, at = match.lastgroup, match[0], match.start()
        if kind == "skip":
            continue
        if text == "{" and kind == "mark" and not (header.depth and not braces):
            braces.append(header if not braces and header.is_function() else None)
            if len(braces) == 1:
                opened = at
        elif text == "}" and kind == "mark" and braces:
            owner = braces.pop()
            if not braces and owner:
                found.append(Function(owner.name, owner.start, opened, match.end(),
                                      "static" in owner.words, "inline" in owner.words))
                header = Header()
        elif not braces:
            header.add(kind, text, at)
            if text == ";" and not header.depth:
                header = Header()
    if braces:
        raise NotFound("a brace is never closed")
    return found


def find(source, name):
    """The one function of that name."""
    named = [function for function in functions(source) if function.name == name]
    if len(named) != 1:
        raise NotFound(f"{name} is there {len(named)} times, not once")
    return named[0]


def words_in(source):
    """{identifier: times} outside comments, strings and directives."""
    counts = {}
    for match in TOKEN.finditer(source):
        if match.lastgroup == "word":
            counts[match[0]] = counts.get(match[0], 0) + 1
    return counts


STATIC_VARIABLE = re.compile(r"^static (?:const )?[^()\n=;{]*?\b(\w+)(?:\[[^\]\n]*\])*(?: =|;)", re.MULTILINE)


def static_names(source):
    """What a compiler would complain of if nobody used it: static functions and variables."""
    names = [f.name for f in functions(source) if f.static and not f.inline]
    return names + STATIC_VARIABLE.findall(source)
