"""Goes through the records of a trace and knows, after each, who owns the registers of each CPU and where each
context's values are.

A context that is CACHED becomes INACTIVE without a record of its own when its CPU gets another owner: that change is
told with the record that gives the CPU away.
"""

import dataclasses


@dataclasses.dataclass
class Context:
    """What is known of one context. task and name: of its own task, which need not be the one that ran."""
    number: int
    task: int
    name: str
    state: str = "NONE"
    last_cpu: int = -1
    record: dict = None

    @property
    def title(self):
        return f"{self.task} {self.name}"


# Events whose record names the task that ran, which may be another than the context's own.
FOREIGN = ("BIRTH", "SWITCH_IN", "REGSET_READ", "REGSET_WRITE", "UPDATE_ONE")


def own_tasks(records):
    """{context: (task, name)}: what each context's own task was called last, or else whoever made it."""
    names = {}
    for foreign in (True, False):
        for r in records:
            if "context" in r and (r["kind"] == "update" or r.get("event") in FOREIGN) == foreign:
                names[r["context"]] = (r["task"], r["name"])
    return names


class Replay:
    """owners: {cpu: as in the trace}; contexts: {number: Context}, those that have ended too."""

    def __init__(self, trace):
        self.trace = trace
        self.owners = {cpu: None for cpu in range(trace.header["cpus"])}
        self.contexts = {number: Context(number, *names) for number, names in own_tasks(trace.records).items()}

    def owner_title(self, cpu):
        owner = self.owners[cpu]
        special = {None: "nobody", "kernel": "the kernel", "init": "initial values"}
        if owner in special:
            return special[owner]
        return self.contexts[owner].title if owner in self.contexts else f"context {owner}"

    def steps(self):
        """For each record: (record, the contexts that have changed state with it, True if its CPU has a new owner)."""
        for record in self.trace.records:
            moved = record["kind"] != "snapshot-context" and self.owners[record["cpu"]] != record["owner"]
            changed = self.displace(record) if moved else []
            if "context" in record and record["kind"] != "update":
                changed += self.change(self.contexts[record["context"]], record)
            yield record, changed, moved

    def displace(self, record):
        before = self.contexts.get(self.owners[record["cpu"]])
        self.owners[record["cpu"]] = record["owner"]
        if before and before.state == "CACHED" and before.last_cpu == record["cpu"]:
            before.state = "INACTIVE"
            return [before]
        return []

    def change(self, context, record):
        """The record's own context; in a list if its state has changed."""
        before = context.state
        if record.get("event") not in FOREIGN:
            context.task, context.name = record["task"], record["name"]
        context.last_cpu, context.record = record["last_cpu"], record
        context.state = record["to"] if record["kind"] == "transition" else self.state_in_snapshot(record)
        return [context] if context.state != before else []

    def state_in_snapshot(self, record):
        if not record["need_load"]:
            return "ACTIVE"
        return "CACHED" if self.owners.get(record["last_cpu"]) == record["context"] else "INACTIVE"
