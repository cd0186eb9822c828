/*
 * What the trace says about any moment. A moment is the number of a record: what holds right after it. Nothing is
 * replayed: for each CPU and each context there is a list of the records that concern it, and the last of them at or
 * before the moment has the answer. So a step back costs what a step forward costs, and so does a jump. Nothing here
 * touches the page.
 */
const meta = JSON.parse(document.getElementById("meta").textContent);
const [TRANSITION, OWNER, SNAPSHOT_CONTEXT, UPDATE] =
	["transition", "owner", "snapshot-context", "update"].map(kind => meta.kinds.indexOf(kind));
const [NONE, ACTIVE, CACHED, INACTIVE] = ["NONE", "ACTIVE", "CACHED", "INACTIVE"].map(s => meta.states.indexOf(s));
const [SAVE, LOAD] = ["save", "load"].map(move => meta.moves.indexOf(move));
const UNKNOWN = -1;                    // the state of a context before the trace has spoken of it
const count = meta.count, cpus = meta.header.cpus, contexts = meta.contexts.length;
const col = decodeColumns(document.getElementById("columns"));
// Events whose record may come from another task's run than the context's own.
const FOREIGN = new Set(["BIRTH", "SWITCH_IN", "REGSET_READ", "REGSET_WRITE", "UPDATE_ONE"]);

function decodeColumns(element) {
	const text = atob(element.textContent), bytes = new Uint8Array(text.length), columns = {};
	for (let i = 0; i < text.length; i++)
		bytes[i] = text.charCodeAt(i);
	element.textContent = "";
	for (const { name, type, offset } of meta.columns)
		columns[name] = new globalThis[type](bytes.buffer, offset, count);
	return columns;
}

/* Lists of record numbers, one behind the other: list k is numbers[start[k]] to numbers[start[k + 1]]. */
function makeLists(lists, keyOf) {
	const start = new Int32Array(lists + 1);
	for (let i = 0; i < count; i++)
		if (keyOf(i) >= 0)
			start[keyOf(i) + 1]++;
	for (let k = 0; k < lists; k++)
		start[k + 1] += start[k];
	const numbers = new Int32Array(start[lists]), next = start.slice(0, lists);
	for (let i = 0; i < count; i++)
		if (keyOf(i) >= 0)
			numbers[next[keyOf(i)]++] = i;
	return { start, numbers };
}

/* How many of sorted[low..high] are at most value, counted from 0: the place behind the last of them. */
function placeAfter(sorted, value, low = 0, high = sorted.length) {
	while (low < high) {
		const middle = (low + high) >> 1;
		if (sorted[middle] <= value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The last record of list k at or before the moment, or -1. */
function lastOf(lists, k, moment) {
	const place = placeAfter(lists.numbers, moment, lists.start[k], lists.start[k + 1]);
	return place > lists.start[k] ? lists.numbers[place - 1] : -1;
}

const ofContext = makeLists(contexts, i => col.kind[i] === UPDATE ? -1 : col.slot[i]);

/* Records at which a CPU's owner became another one. A context's snapshot is written by any CPU, and adds nothing. */
const changes = (() => {
	const before = new Int32Array(cpus).fill(-9), changed = new Uint8Array(count);
	for (let i = 0; i < count; i++) {
		if (col.kind[i] === SNAPSHOT_CONTEXT || col.owner[i] === before[col.cpu[i]])
			continue;
		before[col.cpu[i]] = col.owner[i];
		changed[i] = 1;
	}
	return makeLists(cpus, i => changed[i] ? col.cpu[i] : -1);
})();

/* For each record of a context, one that names the context's own task: the last so far, or else the first. */
const taskRecord = (() => {
	const named = new Int32Array(count).fill(-1);
	for (let slot = 0; slot < contexts; slot++) {
		const list = ofContext.numbers.subarray(ofContext.start[slot], ofContext.start[slot + 1]);
		const own = i => col.kind[i] === SNAPSHOT_CONTEXT || !FOREIGN.has(meta.events[col.event[i]].name);
		let known = list.find(own) ?? list[0];
		for (const i of list) {
			if (own(i))
				known = i;
			named[i] = known;
		}
	}
	return named;
})();

/* Sums over all records up to and with each: what the kernel's counters would say, but for lost records. */
const totals = (() => {
	const sums = { saves: new Int32Array(count), loads: new Int32Array(count), avoided: new Int32Array(count),
		lost: new Int32Array(count) };
	const add = (name, i, more) => { sums[name][i] = (i ? sums[name][i - 1] : 0) + more; };
	for (let i = 0; i < count; i++) {
		add("saves", i, +(col.move[i] === SAVE));
		add("loads", i, +(col.move[i] === LOAD));
		add("avoided", i, col.avoided[i]);
		add("lost", i, col.lost[i]);
	}
	return sums;
})();

function eventName(i) {
	return col.kind[i] === TRANSITION ? meta.events[col.event[i]].name : "";
}

/* What a record is called: its event, or its kind. */
function label(i) {
	return eventName(i) || meta.kinds[col.kind[i]];
}

function ownerOf(cpu, moment) {
	const i = lastOf(changes, cpu, moment);
	return i < 0 ? meta.nobody : col.owner[i];
}

/*
 * Where a context's values are at a moment: the record that says so, the state, and the CPU whose registers are valid
 * (or -1). A context that was CACHED is INACTIVE from the record on that gives its CPU another owner.
 */
function whereabouts(slot, moment) {
	const i = lastOf(ofContext, slot, moment);
	if (i < 0) {
		const first = ofContext.numbers[ofContext.start[slot]];
		const unborn = first !== undefined && col.kind[first] === TRANSITION && col.from[first] === NONE;
		return { record: -1, state: unborn ? NONE : UNKNOWN, cpu: -1 };
	}
	let state = col.kind[i] === TRANSITION ? col.to[i] : col.needLoad[i] ? CACHED : ACTIVE;
	const cpu = col.lastCpu[i];
	if (state === CACHED && (cpu < 0 || ownerOf(cpu, moment) !== slot))
		state = INACTIVE;
	return { record: i, state, cpu: state === ACTIVE || state === CACHED ? cpu : -1 };
}

/* The context that was CACHED until this record and has lost the registers by it, unasked; or -1. */
function displaced(i) {
	const was = i && col.kind[i] !== SNAPSHOT_CONTEXT ? ownerOf(col.cpu[i], i - 1) : meta.nobody;
	const lost = was >= 0 && was !== col.slot[i] && whereabouts(was, i - 1).state === CACHED;
	return lost && whereabouts(was, i).state === INACTIVE ? was : -1;
}

/* The first record and the last of a context; the end is Infinity if it does not die. */
function lifetime(slot) {
	const low = ofContext.start[slot], high = ofContext.start[slot + 1];
	if (low === high)
		return [Infinity, -1];
	const last = ofContext.numbers[high - 1], first = ofContext.numbers[low];
	const born = col.kind[first] === TRANSITION && col.from[first] === NONE;
	return [born ? first : 0, col.kind[last] === TRANSITION && col.to[last] === NONE ? last : Infinity];
}

/* The contexts that live at some moment from first to last. */
function contextsIn(first, last) {
	const found = [];
	for (let slot = 0; slot < contexts; slot++) {
		const [born, dead] = lifetime(slot);
		if (born <= last && dead >= first)
			found.push(slot);
	}
	return found;
}

/* A task's number, and its name at that time. */
function taskOf(i) {
	const from = i >= 0 && taskRecord[i] >= 0 ? taskRecord[i] : i;
	return from < 0 ? { tid: -1, name: "" } : { tid: col.task[from], name: meta.names[col.name[from]] };
}

function taskText(i) {
	const { tid, name } = taskOf(i);
	return tid < 0 ? "" : `${tid} ${name}`;
}

/* The task of a context, named as at the moment. */
function contextText(slot, moment) {
	const i = lastOf(ofContext, slot, moment);
	const record = i >= 0 ? i : ofContext.numbers[ofContext.start[slot]];
	return record === undefined ? `context ${meta.contexts[slot]}` : taskText(record);
}

function ownerText(owner, moment) {
	if (owner === meta.nobody)
		return "nobody's";
	if (owner === meta.kernel)
		return "the kernel's";
	if (owner === meta.initial)
		return "initial values";
	const { state } = whereabouts(owner, moment);
	return contextText(owner, moment) + (state === NONE ? " (has ended)" : "");
}

/* The names of the components in a mask, "SSE AVX". */
function maskText(number) {
	const mask = BigInt(meta.masks[number]), names = [];
	for (let bit = 0; bit < 63; bit++)
		if (mask >> BigInt(bit) & 1n)
			names.push(meta.header.components[bit] ?? `bit ${bit}`);
	return names.join(" ");
}

const COLOURS = 12;
/* A colour for a context: neighbours differ. */
function contextColour(slot, light = 52) {
	return `hsl(${slot * 360 / COLOURS * 5 % 360} ${55 + slot % 3 * 12}% ${light}%)`;
}

function ownerColour(owner) {
	return owner === meta.nobody ? "#fff" : owner === meta.kernel ? "#333" : owner === meta.initial ? "#e4e4e4"
		: contextColour(owner);
}
