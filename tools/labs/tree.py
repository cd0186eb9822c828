"""Trees: a student's, with holes where the functions were, and the one a submission is graded in.

A tree is a copy of the sources that a student may have: without the museum, whose mutants quote the
answers, without other labs and without this one's reference and wrong solutions. Must never write
into the tree it copies from.
"""

import fcntl
import os
import re
import shutil
import textwrap

from . import functions
from .course import LabError

# No part of a student's tree: what is built, what quotes answers, what is the teacher's.
LEFT_OUT = {"build", ".git", "__pycache__", "tests/museum", "tests/labs", "labs/autograder", "labs/README.md"}
TEACHERS = ("wrong", "tree")
# Of build/, what a grading tree can start from; the rest is built by tests, or belongs to other trees.
REUSED = {"boot", "fpu", "kernel", "sched", "user", "explore"}
RELINKED = "explore/explore"
WIDTH = 100
INCLUDE = re.compile(r"(?:#|%:|\?\?=)(?:\s|/\*.*?\*/)*(?:include|import|embed)(?:_next)?\b(?:[ \t]|/\*.*?\*/)*"
                     r"([^\n]*)", re.DOTALL)
INSIDE = re.compile(r"[<\"](\w[\w./-]*)[>\"]\s*(?:/[/*].*)?")
HOLE_HEADER = '#include "labs/hole.h"\n'


def left_out(root, lab):
    """The function that shutil.copytree wants."""
    def ignore(where, names):
        below = os.path.relpath(where, root)
        paths = {name: os.path.normpath(os.path.join(below, name)) for name in names}
        return [name for name, path in paths.items()
                if name in LEFT_OUT or path in LEFT_OUT or other_lab(path, lab)]
    return ignore


def other_lab(path, lab):
    """True for another lab's folder, and for what in this one's is the teacher's."""
    parts = path.split(os.sep)
    if parts[0] != "labs" or len(parts) < 2 or not re.match(r"\d\d-", parts[1]):
        return False
    return parts[1] != lab.folder or len(parts) > 2 and parts[2] in TEACHERS


def copy_sources(root, lab, tree):
    """The sources, with the lab's own files in their places: the reference, where the root has it."""
    shutil.copytree(root, tree, symlinks=True, ignore=left_out(root, lab))
    overlay = os.path.join(root, "labs", lab.folder, "tree")
    for where, _, names in os.walk(overlay):
        for name in names:
            below = os.path.relpath(os.path.join(where, name), overlay)
            write(tree, below, read(overlay, below))


def copy_built(root, tree):
    """What make has built of the root, with the times that make goes by."""
    built = os.path.join(root, "build")

    def ignore(where, names):
        if where != built:
            return [name for name in names if os.path.relpath(os.path.join(where, name), built) == RELINKED]
        return [name for name in names if name not in REUSED and os.path.isdir(os.path.join(where, name))
                or name.endswith((".new", ".lock", ".iso"))]
    if os.path.isdir(built):
        with open(os.path.join(built, ".lock"), "w", encoding="ascii") as lock:     # as in tools/boot.py
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.copytree(built, os.path.join(tree, "build"), symlinks=True, ignore=ignore)


def read(tree, name):
    try:
        with open(os.path.join(tree, name), encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{name}: {getattr(error, 'strerror', None) or 'is not text'}") from error


def write(tree, name, text):
    """The file gets a new time, so that make can't take what was built of another text for it."""
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def label(lab, hole):
    return f"Lab {lab.number}, step {hole.step}: {hole.function}"


def comment(lab, hole):
    """The greppable line, and the task below it."""
    lines = textwrap.wrap(f"Lab {lab.number}, step {hole.step}: {' '.join(hole.text.split())}", WIDTH)
    if len(lines) == 1:
        return f"\t/* {lines[0]} */\n"
    return "\t/*\n" + "".join(f"\t * {line}\n" for line in lines) + "\t */\n"


def start_text(lab, hole, source, function, unused):
    """The function as the student gets it."""
    above = hole.above.strip("\n") + "\n\n" if hole.above else ""
    if hole.old:
        text, old = source[function.start:function.end], hole.old.strip("\n") + "\n"
        if text.count(old) != 1:
            raise functions.NotFound(f"{hole.function} has this text {text.count(old)} times, not once:\n{old}")
        return above + text.replace(old, comment(lab, hole) + hole.new.lstrip("\n"))
    does = hole.body.strip("\n") + "\n" if hole.body else f'\tLAB_HOLE("{label(lab, hole)}");\n'
    used = "".join(f"\t(void){name};\n" for name in unused)
    return f"{above}{source[function.start:function.brace]}{{\n{comment(lab, hole)}{used}{does}}}"


def only_used_by(source, functions_out, rest):
    """{function: static names that nobody uses any more once the bodies are out}"""
    lost, left = {}, functions.words_in(rest)
    for name in functions.static_names(source):
        if left.get(name, 0) != 1:
            continue
        for function in functions_out:
            if function.name != name and name in functions.words_in(source[function.brace:function.end]):
                lost.setdefault(function.name, []).append(name)
                break
    return lost


def substitute(source, pieces):
    """source with each (start, end, text) in place of what was there."""
    for start, end, text in sorted(pieces, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def with_holes(lab, name, source):
    """The text of the file name as the student gets it."""
    try:
        return make_text(lab, name, source)
    except functions.NotFound as error:
        raise LabError(f"{name}: {error}") from error


def make_text(lab, name, source):
    holes = [(hole, functions.find(source, hole.function)) for hole in lab.holes if hole.file == name]

    def pieces(unused):
        return [(f.start, f.end, start_text(lab, hole, source, f, unused.get(hole.function, ())))
                for hole, f in holes]
    lost = only_used_by(source, [f for hole, f in holes if not hole.old], substitute(source, pieces({})))
    text = substitute(source, pieces(lost))
    if "LAB_HOLE(" in text and HOLE_HEADER not in text:
        at = text.index("#include")
        text = text[:at] + HOLE_HEADER + text[at:]
    return text


def make_holes(lab, tree):
    for name in dict.fromkeys(hole.file for hole in lab.holes):
        write(tree, name, with_holes(lab, name, read(tree, name)))


def make_student_tree(root, lab, tree):
    """A new tree for a student."""
    if os.path.exists(tree):
        raise LabError(f"{tree} is there already")
    copy_sources(root, lab, tree)
    make_holes(lab, tree)
    if any(program.kernel == "start" for program in lab.programs.values()):
        for name in kernel_files(lab):
            write(tree, os.path.join("labs", lab.folder, "start", name), read(tree, name))


def kernel_files(lab):
    return [name for name in dict.fromkeys(hole.file for hole in lab.holes) if not name.startswith("user/")]


def put_start(root, lab, tree):
    """The kernel as it is handed out: a student's root keeps a copy of it, the teacher's makes it."""
    kept = os.path.join(root, "labs", lab.folder, "start")
    for name in kernel_files(lab):
        write(tree, name, read(kept, name) if os.path.isdir(kept) else with_holes(lab, name, read(root, name)))


def reference(root, lab, folder):
    """The student's files as they should be."""
    overlay = os.path.join(root, "labs", lab.folder, "tree")
    for name in lab.owned():
        write(folder, name, read(overlay if os.path.exists(os.path.join(overlay, name)) else root, name))


def submitted(lab, student):
    """The folder that the student's files are in: what was handed in, or the one folder in it."""
    inside = [entry.path for entry in os.scandir(student) if entry.is_dir(follow_symlinks=False)]
    if len(inside) == 1 and not os.path.exists(os.path.join(student, lab.owned()[0])):
        return inside[0]
    return student


def leads_out(text):
    """The directive of a text that would bring in a file from outside the tree, where the reference is; or ""."""
    for match in INCLUDE.finditer(text.replace("\\\n", "")):
        inside = INSIDE.fullmatch(match[1].strip())
        if not inside or ".." in inside[1].split("/"):
            return match[0].strip()
    return ""


def read_submitted(student, name):
    """A file of the student's. A link, or an include, could lead to the reference."""
    if os.path.realpath(os.path.join(student, name)) != os.path.join(os.path.realpath(student), name):
        raise LabError(f"{name}: is a link, or lies behind one")
    text = read(student, name)
    if leads_out(text):
        raise LabError(f"{name}: only files of this tree, by their names: {leads_out(text)}")
    return text


def make_grading_tree(root, lab, student, tree):
    """The root's files, with only the student's own in place; what was built is reused."""
    copy_sources(root, lab, tree)
    copy_built(root, tree)
    student = submitted(lab, student)
    for name in lab.owned():
        text = read_submitted(student, name)
        if not os.path.exists(os.path.join(tree, name)) or read(tree, name) != text:
            write(tree, name, text)


def holes_left(lab, tree):
    """The functions of the lab that still stop."""
    return [hole for hole in lab.holes
            if f'LAB_HOLE("{label(lab, hole)}")' in read(tree, hole.file)]
