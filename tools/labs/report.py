"""Results: for people on a terminal, for Gradescope in results.json.

Gradescope's file is written before anything is run, with no points in it, so that whatever ends the
grader, nothing is given away. Must never hold a path of the machine it ran on.
"""

import json
import os

UNFINISHED = "The grader did not come to its end (out of time or memory?): no points."


def line(mark):
    sign = "FAIL" if mark.context else "ok  "
    return f"{sign} {mark.name}: {mark.earned}/{mark.points}"


def text(report):
    """The whole report."""
    lines = [f"Lab {report.lab.number}: {report.lab.title}"]
    for mark in report.marks:
        lines += [line(mark), *("     | " + context for context in mark.context)]
    lines.append(f"Score: {report.score()}/{report.lab.points()}")
    return "\n".join(lines)


def gradescope(report):
    """The object that Gradescope reads."""
    tests = [{"name": mark.name, "number": str(number), "score": mark.earned, "max_score": mark.points,
              "status": "failed" if mark.context else "passed",
              "output": "\n".join(mark.context), "output_format": "text", "visibility": "visible"}
             for number, mark in enumerate(report.marks, 1)]
    return {"score": report.score(), "execution_time": round(report.seconds, 1),
            "output": text(report).splitlines()[-1], "output_format": "text", "visibility": "visible",
            "stdout_visibility": "hidden", "tests": tests}


def nothing(lab, why=UNFINISHED):
    """No points, for each test, and the reason."""
    return {"score": 0, "output": why, "output_format": "text", "visibility": "visible",
            "stdout_visibility": "hidden",
            "tests": [{"name": test.name, "score": 0, "max_score": test.points, "status": "failed", "output": why,
                       "visibility": "visible"} for test in lab.tests]}


def write_json(path, data):
    """At once and whole: nobody finds half a file."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)
