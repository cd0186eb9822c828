"""Zips: a lab for students, a submission, and what Gradescope installs.

A submission is the student's own files at their paths and nothing else that counts. It is checked
before a byte of it is used: names, sizes, kinds.
"""

import os
import shutil
import stat
import tempfile
import zipfile

from . import tree as trees
from .course import LabError

LARGEST_FILE, MOST_FILES = 256 * 1024, 100
AUTOGRADER_LEFT_OUT = {"build", ".git", "__pycache__"}


def zip_folder(folder, path, top=""):
    """All files below the folder, in order, with their modes, under the name top."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for where, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(where, name)
                archive.write(file, os.path.join(top, os.path.relpath(file, folder)))


def handout(root, lab, path):
    """A student's tree as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "tree")
        trees.make_student_tree(root, lab, tree)
        zip_folder(tree, path, f"tarry-lab-{lab.number}")


def autograder(root, lab, path):
    """Gradescope's zip: setup.sh and run_autograder at the top, the teacher's tree below."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(root, os.path.join(folder, "tarry"), symlinks=True,
                        ignore=lambda where, names: AUTOGRADER_LEFT_OUT.intersection(names))
        for name in ("setup.sh", "run_autograder"):
            shutil.copy(os.path.join(root, "labs", "autograder", name), folder)
        with open(os.path.join(folder, "lab"), "w", encoding="ascii") as file:
            file.write(lab.number + "\n")
        zip_folder(folder, path)


def pack(lab, tree, path):
    """The student's own files of a tree."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in lab.owned():
            trees.read(tree, name)
            archive.write(os.path.join(tree, name), name)


def contents(path):
    """{name: entry} of a zip's files; a single folder around all of them is taken off."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except zipfile.BadZipFile as error:
        raise LabError(f"{path}: neither a folder nor a zip file") from error
    tops = {entry.filename.split("/")[0] for entry in entries}
    inside = all("/" in entry.filename for entry in entries)
    around = tops.pop() + "/" if len(tops) == 1 and inside else ""
    return {entry.filename: entry for entry in entries}, around


def complaints(lab, path):
    """(what stands against accepting the zip, what is only worth a word, the folder around its files)"""
    entries, around = contents(path)
    if any(name in entries for name in lab.owned()):
        around = ""
    wrong, notes = [], []
    if len(entries) > MOST_FILES:
        notes.append(f"{len(entries)} files, of which {len(lab.owned())} count")
    for name in lab.owned():
        entry = entries.pop(around + name, None)
        if entry is None:
            wrong.append(f"{name} is missing")
        elif entry.file_size > LARGEST_FILE:
            wrong.append(f"{name} is larger than {LARGEST_FILE // 1024} KB")
        elif stat.S_ISLNK(entry.external_attr >> 16):
            wrong.append(f"{name} is a symbolic link")
    if entries:
        notes.append(f"not looked at: {', '.join(sorted(entries)[:5])}{', ...' if len(entries) > 5 else ''}")
    return wrong, notes, around


def unpack(lab, path, folder):
    """The student's own files out of a zip, or the reasons why not. Nothing else is taken out."""
    wrong, notes, around = complaints(lab, path)
    if wrong:
        return wrong, notes
    with zipfile.ZipFile(path) as archive:
        for name in lab.owned():
            try:
                trees.write(folder, name, archive.read(around + name).decode("utf-8"))
                trees.read_submitted(folder, name)
            except (UnicodeDecodeError, zipfile.BadZipFile):
                wrong.append(f"{name} is not text")
            except LabError as error:
                wrong.append(str(error))
    return wrong, notes
