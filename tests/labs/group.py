"""The labs' machinery, quickly: what is slow, grading whole solutions, is make test-labs.

Here: the function finder, holes that compile for every lab, what a student's zip holds, what a
submission may hold, and that no result is given away.
"""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

from framework import ROOT, Fail, command, expect, expect_equal

sys.path[:0] = [os.path.join(ROOT, "tests", "labs")]
import campaign
from labs import course, functions, grade, pack, report, runs, story, tree as trees

TARGETS = []
SOURCE = '''\
#define OPEN(x) { if (x) {
/* int in_a_comment(void) { } */
static const char text[] = "int in_a_string(void) { }", brace = '{';
static int table[] = { 1, 2 };
struct pair { int a, b; };
int declared(int a);
static inline __attribute__((always_inline)) long with_attribute(struct pair *p)
{
	struct pair q = { .a = '"', .b = (int[]){ 2 }[0] };
	return p->a + q.b; // }
}

void
(split_name)(void);
bool helper(int a) { return a; }
int
  last ( int a,
	 void (*f)(int) )
{
	if (a) { f(a); }
	return "}"[0];
}
'''
CHEAT = '''
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
static const char *way;
static void fails(void **state)
{
	printf("[       OK ] fails\\nlab 1 ok 0000000000000000 fails\\n[  FAILED  ] good\\nlab 0 0000000000000000\\n");
	if (!strcmp(way, "exit"))
		exit(0);
	if (!strcmp(way, "hang") && fork() >= 0)
		pause();
	assert_int_equal(1, 2);
}
static void good(void **state) { }
int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fails), cmocka_unit_test(good) };
	way = WAY;
	return cmocka_run_group_tests_name("cheat", tests, NULL, NULL);
}
'''
CHEATS_MAKEFILE = "build/host/%: cheat.c\n\tmkdir -p build/host; gcc -DWAY='\"$*\"' -o $@ $< $(HOST_EXTRA) -lcmocka\n"
INCLUDED = re.compile(r'^#include "(tests/boot/\w+\.c)"', re.MULTILINE)
CC = ("gcc", "-std=gnu11", "-O2", "-I.", "-ffreestanding", "-fno-pic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
KERNEL_CC = (*CC, "-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only", "-Wno-unused-parameter")
USER_CC = (*CC, "-Iuser/include")


def labs():
    return [course.read_lab(ROOT, folder) for folder in course.folders(ROOT)]


def finder():
    """Fails if a brace in a comment, string, directive or initialiser is taken for a function's."""
    found = functions.functions(SOURCE)
    expect_equal([f.name for f in found], ["with_attribute", "helper", "last"], "the functions")
    first, _, last = found
    expect(SOURCE[first.start:].startswith("static inline"), "the first one's beginning")
    expect_equal(SOURCE[first.end - 2:first.end + 1], "\n}\n", "the first one's end")
    expect(first.static and first.inline and not last.static, "static or inline is wrong")
    expect(SOURCE[last.start:].startswith("int\n  last") and SOURCE[last.brace] == "{", "the last one's header")
    for source, name in ((SOURCE, "declared"), (SOURCE + "int helper(void) { }", "helper"), ("int f(void) {", "f")):
        try:
            functions.find(source, name)
        except functions.NotFound:
            continue
        raise Fail(f"{name} was found")


def finder_on_the_kernel():
    """Fails if a file of the kernel is not understood."""
    count = 0
    for path in glob.glob(os.path.join(ROOT, "*", "*.[ch]")):
        with open(path, encoding="utf-8") as file:
            count += len(functions.functions(file.read()))
    expect(count > 1000, f"only {count} functions")


def compiles(tree, names):
    """None of a lab's files may have an error or a warning with holes in it."""
    for name in names:
        if name.endswith(".c"):
            flags = USER_CC if name.startswith("user/") else KERNEL_CC
            done = command([*flags, name], cwd=tree, stderr=subprocess.STDOUT)
            expect(done.returncode == 0, f"{name} does not compile with holes in it", done.stdout)


def holes(lab):
    """Fails if a hole is not where the lab says, does not compile, or leaves the solution behind."""
    with tempfile.TemporaryDirectory() as folder:
        tree, answers = os.path.join(folder, "tree"), os.path.join(folder, "answers")
        trees.make_student_tree(ROOT, lab, tree)
        trees.reference(ROOT, lab, answers)
        for hole in lab.holes:
            text, answer = trees.read(tree, hole.file), trees.read(answers, hole.file)
            body = functions.find(answer, hole.function)
            expect(answer[body.brace:body.end] not in text, f"{hole.function} is still there")
            expect(f"Lab {lab.number}, step {hole.step}" in text, f"no step {hole.step} in {hole.file}")
        trees.put_start(ROOT, lab, os.path.join(folder, "start"))
        for name in trees.kernel_files(lab):
            expect_equal(trees.read(os.path.join(folder, "start"), name), trees.read(tree, name),
                         f"{name} at the start")
        headers = any(name.endswith(".h") for name in lab.owned())
        compiles(tree, [*lab.owned(), *(["fpu/switch.c", "fpu/kernel.c", "fpu/life.c"] if headers else [])])
        stopping = [hole.function for hole in lab.holes if hole.stops()]
        expect_equal([hole.function for hole in trees.holes_left(lab, tree)], stopping, "the holes that stop")
        expect_equal(trees.holes_left(lab, answers), [], "the holes in the reference")


def is_in_a_program(lab, test):
    """Whether the test's program has a test of that name; the kind tells where programs are."""
    if test.kind == "host":
        return re.search(rf"cmocka_unit_test\w*\({test.test}[,)]", trees.read(ROOT, f"tests/host/{test.target}.c"))
    if test.kind != "program" or lab.programs[test.target].status is not None:
        return not test.test
    source = trees.read(ROOT, lab.programs[test.target].source)
    included = [trees.read(ROOT, name) for name in INCLUDED.findall(source)]
    return any(f'{{ "{test.test}", ' in text for text in (source, *included))


def lab_is_whole(lab):
    """Fails if a lab lacks a handout, steps in it, three wrong solutions, 100 points, or a test it names."""
    handout = trees.read(os.path.join(ROOT, "labs", lab.folder), "handout.md")
    for part in ("Goal", "Background", "Read", "Steps", "trace", "GDB", "Questions", "Expected"):
        expect(part in handout, f"{lab.folder}: the handout has no {part}")
    expect_equal(lab.points(), 100, f"{lab.folder}: the points")
    for test in lab.tests:
        expect(is_in_a_program(lab, test), f"{lab.folder}: {test.name}: the program has no such test")
    wrong = campaign.wrong_solutions(lab)
    expect(len(wrong) >= 3, f"{lab.folder}: {len(wrong)} wrong solutions")
    names = {test.name for test in lab.tests}
    for solution in wrong:
        expect(names.issuperset(solution.loses), f"{solution.name} loses a test that is not there")
        with tempfile.TemporaryDirectory() as folder:
            campaign.wrong_of(lab, solution)(folder)


def handout_zip(lab):
    """Fails if a student gets the museum, a wrong solution, a reference or another lab."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "handout.zip")
        pack.handout(ROOT, lab, path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    top = f"tarry-lab-{lab.number}/"
    expect(all(name.startswith(top) for name in names), "a file outside the folder")
    names = {name.removeprefix(top) for name in names}
    others = [f"labs/{other.folder}/" for other in labs() if other.number != lab.number]
    bad = [name for name in names if name.endswith(".mutant") or name.startswith(
        ("tests/museum", "tests/labs", "build/", ".git/", f"labs/{lab.folder}/tree", *others))]
    expect_equal(bad, [], "what a student must not get")
    for name in ("Makefile", "tools/lab.py", f"labs/{lab.folder}/handout.md", *lab.owned()):
        expect(name in names, f"{name} is missing")


def submissions():
    """Fails if a zip is taken that lacks a file or is none, or a file outside is written."""
    lab = labs()[0]
    with tempfile.TemporaryDirectory() as folder:
        good, path, out = (os.path.join(folder, name) for name in ("good", "x.zip", "out"))
        trees.reference(ROOT, lab, good)
        pack.pack(lab, good, path)
        expect_equal(pack.unpack(lab, path, out), ([], []), "a good submission")
        expect_equal(sorted(lab.owned()), sorted(os.path.relpath(os.path.join(where, name), out) for where, _, names
                                                 in os.walk(out) for name in names), "what is taken out")
        pack.zip_folder(good, path, "around")
        expect_equal(pack.unpack(lab, path, out)[0], [], "a folder around the files")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../evil.c", "int x;")
        expect_equal(len(pack.unpack(lab, path, out)[0]), len(lab.owned()), "complaints about an empty submission")
        expect(not os.path.exists(os.path.join(folder, "evil.c")), "a file was written outside")
        with open(path, "w", encoding="ascii") as file:
            file.write("no zip")
        try:
            pack.unpack(lab, path, out)
        except course.LabError:
            return
        raise Fail("a text was taken for a zip")


def links():
    """Fails if a link or an include brings the reference in, or a folder around a submission's files is missed."""
    lab = labs()[0]
    name = lab.owned()[0]
    with tempfile.TemporaryDirectory() as folder:
        inner = os.path.join(folder, "my work")
        trees.reference(ROOT, lab, inner)
        expect_equal(trees.submitted(lab, folder), inner, "the folder")
        trees.read_submitted(inner, name)
        for bad in ('#include "../../fpu/verbs.h"', "#include </etc/passwd>", "# /* */ include HEADER",
                    '%:include "/x"', '#inc\\\nlude "a/../../x"', '#include_next "../x"'):
            expect(trees.leads_out("int x;\n" + bad + "\n"), f"{bad} is accepted")
        expect_equal(trees.leads_out('#include "fpu/verbs.h" /* .. */\n#include <lib.h>\n'), "", "a good include")
        os.rename(os.path.join(inner, name), os.path.join(folder, "else"))
        os.symlink(os.path.join(folder, "else"), os.path.join(inner, name))
        try:
            trees.read_submitted(inner, name)
        except course.LabError:
            return
    raise Fail("a link was followed")


def nothing_given_away():
    """Fails if printing earns points: without the right sum, the right device status, or an end in time."""
    nonce, program = 12345, course.Program("p", "p.c")
    right = f"lab 1 ok {runs.mixed(nonce, 1, True):016x} one"
    expect_equal(runs.results(right, nonce)[0], {"one": True}, "a right result")
    for line in (f"lab 1 ok {runs.mixed(nonce, 1, False):016x} one", "lab 1 ok 0000000000000000 one",
                 f"lab 1 ok {runs.mixed(1, 1, True):016x} one", "ok 1 one", f"lab 2 ok {right[9:]}"):
        expect_equal(runs.results(line, nonce)[0], {}, f"what {line!r} earns")
    ended = {"status": 0, "device": runs.POWERED_OFF, "log": [], "reasons": []}
    expect_equal(runs.ended(program, ended), [], "what stands against a good end")
    expect("time-out" in runs.ended(program, {**ended, "status": 124})[0], "a time-out is not named")
    for device in (runs.PANICKED, runs.LOADER_FAILED, 0, 1, -9):
        expect(runs.ended(program, {**ended, "device": device}), f"device status {device} counts")


def running(program):
    """The processes that were started by that name."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                found += [path] if file.read().split(b"\0")[0] == program.encode() else []
        except OSError:
            continue                # it has ended
    return found


def host_cheats():
    """Fails if a host program's printed results, or its early end, count, or if it outlives its time."""
    with tempfile.TemporaryDirectory() as tree:
        trees.write(tree, "cheat.c", CHEAT)
        trees.write(tree, "Makefile", CHEATS_MAKEFILE)
        trees.write(tree, "labs/nonce.c", trees.read(ROOT, "labs/nonce.c"))
        said = runs.host(tree, "print")
        expect_equal((said.passed, said.trouble), ({"fails": False, "good": True}, []), "what printing earns")
        expect("0x1 != 0x2" in str(said.context["fails"]), "not told why", str(said.context))
        said = runs.host(tree, "exit")
        expect_equal((said.passed, bool(said.trouble)), ({}, True), "what an exit earns")
        expect_equal(runs.make(tree, "build/host/hang", runs.HOST_FRAME), [], "the compiler's complaints")
        expect_equal(runs.command(["build/host/hang"], tree, 0.5)[0], None, "the status of what waits for ever")
    expect_equal(running("build/host/hang"), [], "what is left of it")


def json_rules():
    """Fails if a results.json gives points before anything ran, or is not what Gradescope takes."""
    lab = labs()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "results.json")
        done = command([sys.executable, "tools/lab.py", "grade", lab.number, "--tree", folder, "--json", path])
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
    expect(done.returncode, "an empty submission has a full score")
    expect_equal((result["score"], {test["score"] for test in result["tests"]}), (0, {0}), "an empty one's points")
    expect("user/" in str(result) or lab.owned()[0] in str(result), "the missing file is not named", str(result))
    first = report.nothing(lab)
    expect_equal((first["score"], first["output"]), (0, report.UNFINISHED), "the first file")
    marks = [grade.Mark(test.name, test.points, test.points, []) for test in lab.tests]
    full = report.gradescope(grade.Report(lab, marks, 1.25))
    expect_equal((full["score"], sum(test["max_score"] for test in full["tests"])), (100, 100), "a full score")
    expect_equal({test["status"] for test in full["tests"]}, {"passed"}, "its tests")


def stories():
    """Fails if the transitions told are another task's, or later ones."""
    step = {"kind": "transition", "seq": 0, "cpu": 0, "event": "EXEC", "from": "ACTIVE", "to": "INACTIVE", "saved": "0x0",
            "loaded": "0x0", "avoided": False, "owner": 1, "last_cpu": 0, "function": "f", "file": "./x.h", "line": 3}
    trace = '{"kind":"trace"}\n' + "\n".join(json.dumps({**step, "t": t, "task": task, "context": task}) for t, task in
                      ((1, 5), (2, 6), (3, 5), (9, 5))) + "\n{\"kind\":"
    told = story.transitions(trace, story.PLACE.fullmatch("# at: task 5, 4 ns"))
    expect_equal([line[:11] for line in told], ["CPU 0  EXEC", "       ... ", "CPU 0  EXEC"], "the story")


def tests():
    for function in (finder, finder_on_the_kernel, submissions, links, nothing_given_away, host_cheats, json_rules,
                     stories):
        yield function.__name__.replace("_", " "), function
    for lab in labs():
        for function in (holes, lab_is_whole, handout_zip):
            yield f"{lab.folder}/{function.__name__.replace('_', ' ')}", lambda f=function, lab=lab: f(lab)
