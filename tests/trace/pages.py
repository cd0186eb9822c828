"""The stepper's page in a real browser, against the trace that it was made of.

What the page must show is worked out here a second time and in another way: by going through the records from the
first on. Without a browser these tests are skipped.
"""

import itertools
import json
import os
import sys
import tempfile
import threading

from framework import BUILD, ROOT, WORK, Fail, Skip, command, excerpt, expect, expect_equal

STEPPER = [sys.executable, os.path.join(ROOT, "tools", "stepper.py")]
DRIVER = os.path.join(ROOT, "tests", "trace", "browser.js")
PLAYWRIGHT = os.path.join(BUILD, "playwright")
# Of playwright-core one that Debian 12's Node is new enough for; speedscope is for converters.py.
PACKAGES = ("playwright-core@1.56.1", "speedscope@1.25.0")
INSTALL_SECONDS = 300
FAR = 30                                           # records that are stepped through, forward and back
MANY = 100_000
MOST_ELEMENTS = 1500                               # of a page with any number of records
WINDOW_GUTTER, WINDOW_ZOOM = 118, 8                # lanes.js: where the first column is, how wide one is at first
FOUND_IN = "kernel_fpu_begin_first"
OWNERS = {None: {"nobody's"}, "kernel": {"the kernel's"}, "init": {"initial values"}}
INSTALLING, INSTALLED = threading.Lock(), set()


def install(*words):
    """Runs what installs something; the test is skipped if it can't be had."""
    try:
        done = command(words, INSTALL_SECONDS)
    except Fail as reason:
        raise Skip(str(reason).replace("\n", " ")) from reason
    if done.returncode:
        raise Skip(f"{words[0]}: " + excerpt(done.stderr).replace("\n", " "))


def require(what):
    """browser or waves, as in tools/deps.sh."""
    with INSTALLING:
        if what not in INSTALLED:
            install(os.path.join(ROOT, "tools", "deps.sh"), what)
            if what == "browser" and not os.path.exists(os.path.join(PLAYWRIGHT, *PACKAGES)):
                install("npm", "install", "--prefix", PLAYWRIGHT, "--no-save", "--no-audit", "--no-fund",
                        "--fetch-retries=1", "--fetch-timeout=30000", "--ignore-scripts", *PACKAGES)
                os.makedirs(os.path.join(PLAYWRIGHT, *PACKAGES))
            INSTALLED.add(what)


def make_page(path):
    """The page of a trace file; gives its path."""
    done = command([*STEPPER, path])
    expect(done.returncode == 0 and not done.stderr, f"no page (status {done.returncode})", done.stderr)
    return path + ".html"


def browse(page, actions):
    """What each read saw. The page may not fail inside, nor ask for anything outside."""
    done = command(["node", DRIVER, PLAYWRIGHT, "file://" + page], input=json.dumps(actions).encode())
    expect(done.returncode == 0, "the browser failed", done.stderr)
    result = json.loads(done.stdout)
    expect(not result["errors"], "the page's program failed", *result["errors"])
    expect_equal([url for url in result["requests"] if not url.startswith(("file:", "data:"))], [],
                 "what the page asked for")
    return result["seen"]


def moments(records, first):
    """After each record from number first on: the owners of the CPUs and, for each context that lives, its state and
    where it is right."""
    owners, contexts = {}, {}
    for r in records:
        if r["kind"] != "snapshot-context":
            owners[r["cpu"]] = r["owner"]
        if "last_cpu" in r:
            state = r["to"] if r["kind"] == "transition" else "CACHED" if r["need_load"] else "ACTIVE"
            contexts[r["context"]] = (state, r["last_cpu"])
        shown = {}
        for number, (state, cpu) in contexts.items() if r["seq"] >= first else ():
            if state == "CACHED" and owners.get(cpu) != number:
                state = "INACTIVE"
            shown[str(number)] = [state, *{"NONE": ("empty", "empty"), "ACTIVE": ("valid", "stale"),
                                           "CACHED": ("valid", "valid"), "INACTIVE": ("stale", "valid")}[state]]
        if r["seq"] >= first:
            yield r, dict(owners), shown
        if r.get("to") == "NONE":
            del contexts[r["context"]]


def compare_record(seen, record, name):
    """One read with the record that must be shown. name: number and name of the context's task."""
    cells = seen["record"]
    expect_equal(cells[:1] + cells[2:3], [str(record["seq"]), str(record["cpu"])], "record and CPU in the list")
    if record["kind"] != "transition":
        expect_equal([word for word in seen["lit"] if word != "edge-CACHED-INACTIVE"], [], "what is lit")
        return
    pair, event = f"{record['from']}-{record['to']}", record["event"]
    expect_equal(cells[3:7], [name, event, record["from"], record["to"]], f"record {record['seq']} in the list")
    expect(f"{record['from']} \u2192 {record['to']}" in seen["what"] and seen["why"].startswith(event),
           f"record {record['seq']}: the sentence", seen["what"], seen["why"])
    for word in (f"edge-{pair}", f"label-{pair}-{event}", f"box-{record['to']}"):
        expect(word in seen["lit"], f"record {record['seq']}: {word} is not lit", str(seen["lit"]))
    expect_equal(len(seen["lit"]), 3, f"record {record['seq']}: the number of lit things {seen['lit']}")
    where = f"{os.path.normpath(record['file'])}:{record['line']}"
    expect_equal((seen["site"], cells[8]), (f"{where} {record['function']}()", where), "the source")
    expect(seen["source"].startswith(str(record["line"])), "no line of source is marked", seen["source"])


def compare(seen, wanted):
    """All reads with all moments that must be shown."""
    expect_equal(len(seen), len(wanted), "the number of reads")
    for one, (record, owners, contexts, name) in zip(seen, wanted):
        compare_record(one, record, name)
        for number, shown in one["contexts"].items():
            expect_equal(shown, contexts.get(number), f"record {record['seq']}: context {number}")
        about = record.get("context", record["cpu"])
        expect(str(about) in one["contexts" if "context" in record else "cpus"],
               f"record {record['seq']}: what it is about is not in sight")
        for cpu, text in one["cpus"].items():
            owner = owners.get(int(cpu))
            names = OWNERS.get(owner) or {name for r, _, _, name in wanted if r.get("context") == owner}
            expect(text.removesuffix(" (has ended)") in names or not names,
                   f"record {record['seq']}: CPU {cpu} is {text}, not {names}")
        expect(not one["overflow"], "the page is larger than the window")


def context_names(records):
    """For each record, "number name" of the task whose values it is about, as the page has to find it: births are
    recorded by the parent."""
    own, named = {}, {}
    spoken = [(r, f"{r['task']} {r['name']}", r.get("event") in ("BIRTH", "SWITCH_IN"))
              for r in records if "last_cpu" in r]
    for r, text, foreign in sorted(spoken, key=lambda it: it[2]):
        own.setdefault(r["context"], text)
    for r, text, foreign in spoken:
        if not foreign:
            own[r["context"]] = text
        named[r["seq"]] = own[r["context"]]
    return named


def expected(records, first=0):
    """What stepping must show from a record on: (record, owners, contexts, name) without the snapshots."""
    names = context_names(records)
    return [(r, owners, contexts, names.get(r["seq"], "")) for r, owners, contexts in moments(records, first)
            if r["kind"] in ("transition", "owner", "update")]


def reads(keys):
    return list(itertools.chain.from_iterable((["key", key], ["read"]) for key in keys))


def stepping(page, wanted):
    """From both ends, and back: the same moments in the other order."""
    far = min(FAR, len(wanted))
    right, left = ["ArrowRight"] * (far - 1), ["ArrowLeft"] * (far - 1)
    seen = browse(page, reads(["Home", *right, *left, "End", *left]))
    compare(seen[:far], wanted[:far])
    compare(seen[far:2 * far - 1], wanted[:far - 1][::-1])
    compare(seen[2 * far - 1:], wanted[-far:][::-1])


def finding(page, wanted):
    """Filter, jump, search, a click in the list and in the lanes, and playing to the end."""
    steps = [(r, name) for r, _, _, name in wanted]
    task = next(name for r, name in steps if r["kind"] == "transition" and r["event"] == "DEATH")
    number = task.split()[0]
    of_task = [r["seq"] for r, name in steps
               if (name.split()[0] if r["kind"] == "transition" else str(r["task"])) == number]
    deaths = [r["seq"] for r, _ in steps if r.get("event") == "DEATH"]
    found = [r["seq"] for r, _ in steps if r.get("function") == FOUND_IN]
    sequence = [r["seq"] for r, _ in steps]
    # The lanes: a click three columns behind the first record's.
    actions = [["choose", "#task", number], *reads(["Home", *["ArrowRight"] * (len(of_task) - 1)]), ["key", "Escape"],
               ["choose", "#event", "DEATH"], ["click", "#first"], *reads(["e"] * len(deaths)),
               ["type", "#search", FOUND_IN], ["key", "Escape"], ["key", "Home"], *reads(["n"] * len(found)),
               ["key", "Home"], ["click", ".record:nth-child(3)"], ["read"],
               ["key", "Home"], ["click", "#lanes", WINDOW_GUTTER + (sequence[3] + 0.5) * WINDOW_ZOOM, 10], ["read"],
               ["choose", "#speed", "60"], ["click", "#play"], ["until", "#play", "play"], ["read"]]
    seen = [int(one["record"][0]) for one in browse(page, actions)]
    for what, wanted_here in (("of one task", of_task), ("with the event", deaths), ("found", found),
                              ("clicked in the list", sequence[2:3]), ("clicked in the lanes", sequence[3:4]),
                              ("after playing", sequence[-1:])):
        expect_equal(seen[:len(wanted_here)], wanted_here, f"the records {what}")
        del seen[:len(wanted_here)]


def updates(path):
    """Records of updates are found, and tell what the trace says."""
    _, records = read_trace(path)
    wanted = [r for r in records if r["kind"] == "update"][:FAR]
    found = browse(make_page(path), [["choose", "#event", "update"], ["key", "Escape"], *reads(["e"] * len(wanted))])
    for seen, record in zip(found, wanted):
        expect_equal(seen["record"][0], str(record["seq"]), "the record")
        expect(seen["why"].startswith(record["component"] + " ") and seen["why"].endswith(f": {record['ending']}."),
               f"record {record['seq']}: the sentence", seen["why"])
        expect(str(record["context"]) in seen["contexts"], f"record {record['seq']}: its context is not in sight")
    for tool in ("perfetto", "vcd"):
        done = command([sys.executable, os.path.join(ROOT, "tools", tool + ".py"), path])
        expect(done.returncode == 0 and not done.stderr, f"{tool} refuses updates", done.stderr)


def write_trace(header, records):
    """A trace file of these records, numbered anew."""
    path = os.path.join(tempfile.mkdtemp(dir=WORK), "trace")
    with open(path, "w", encoding="ascii") as file:
        for line in (header, *({**r, "seq": seq} for seq, r in enumerate(records))):
            file.write(json.dumps(line) + "\n")
    return path


def many(header, records):
    """The same run again and again, each time with contexts of its own: the page stays small, and right."""
    rounds, span, most = MANY // len(records) + 1, records[-1]["t"], max(r.get("context", 0) for r in records)

    def later(record, k):
        moved = {key: record[key] + k * most for key in ("context", "owner") if isinstance(record.get(key), int)}
        return {**record, **moved, "t": record["t"] + k * span}

    longer = [later(r, k) for k in range(rounds) for r in records][:MANY]
    page = make_page(write_trace(header, longer))
    wanted = expected([{**r, "seq": seq} for seq, r in enumerate(longer)], MANY - 100)
    seen = browse(page, reads(["End", *["PageUp"] * 3, *["ArrowRight"] * 3]))
    compare(seen, [wanted[-1], wanted[-21], wanted[-41], *wanted[-61:-57]])
    expect(all(one["elements"] < MOST_ELEMENTS for one in seen), "the page holds too much",
           str([one["elements"] for one in seen]))


def read_trace(path):
    with open(path, encoding="ascii") as file:
        header, *records = [json.loads(line) for line in file]
    return header, records


def tests(small_trace, update_trace):
    """Functions that give the path of a trace: of two processors that lacks nothing, and of updates."""
    def with_page(check):
        def run():
            require("browser")
            path = small_trace()
            check(path, *read_trace(path))
        return run

    yield "page: stepping", with_page(lambda path, header, records: stepping(make_page(path), expected(records)))
    yield "page: finding", with_page(lambda path, header, records: finding(make_page(path), expected(records)))
    yield "page: updates", with_page(lambda *_: updates(update_trace()))
    yield f"page: {MANY} records", with_page(lambda path, header, records: many(header, records))
