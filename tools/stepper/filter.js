/*
 * Which records one steps through: those of one task, or all. Snapshots repeat what is known and are left out. And
 * the ways to find a record among them: by its place, by an event, by a text. Nothing here touches the page.
 */
let shown = chosen(-1);

/* The task whose values a record is about; an owner record and an update are about who did it. */
function subject(i) {
	return col.kind[i] === TRANSITION ? taskOf(i).tid : col.task[i];
}

function isStep(i) {
	return col.kind[i] === TRANSITION || col.kind[i] === OWNER || col.kind[i] === UPDATE;
}

/* The numbers of the records of a task, or of all tasks (-1). */
function chosen(tid) {
	const numbers = new Int32Array(count);
	let n = 0;
	for (let i = 0; i < count; i++)
		if (isStep(i) && (tid < 0 || subject(i) === tid))
			numbers[n++] = i;
	return numbers.subarray(0, n);
}

/* Every task of the trace with all names it had: [tid, "sh, cat"], by number. */
function allTasks() {
	const names = new Map();
	for (let i = 0; i < count; i++) {
		if (!isStep(i))
			continue;
		const { tid, name } = taskOf(i);
		if (!names.has(tid))
			names.set(tid, new Set());
		names.get(tid).add(name);
	}
	return [...names].sort((a, b) => a[0] - b[0]).map(([tid, set]) => [tid, [...set].join(", ")]);
}

/* The place in shown of the last record at or before a record; 0 if there is none. */
function placeOf(record) {
	return Math.max(0, placeAfter(shown, record) - 1);
}

/* The nearest place before (step -1) or behind (step 1) where good(record) holds, or -1. */
function seek(place, step, good) {
	for (let p = place + step; p >= 0 && p < shown.length; p += step)
		if (good(shown[p]))
			return p;
	return -1;
}

/* All that can be searched for in a record, in lower case. */
function searchText(i) {
	const site = meta.sites[col.site[i]];
	return [label(i), col.kind[i] === OWNER ? ownerText(col.owner[i], i) : "", taskText(i), `cpu ${col.cpu[i]}`,
		col.slot[i] >= 0 ? `context ${meta.contexts[col.slot[i]]}` : "",
		col.kind[i] === TRANSITION ? `${meta.states[col.from[i]]} ${meta.states[col.to[i]]}` : "",
		movedText(i), site ? `${site.file}:${site.line} ${site.function}` : ""].join(" ").toLowerCase();
}

/* Places in shown whose record has all words of the text. */
function search(text) {
	const words = text.toLowerCase().split(/\s+/).filter(Boolean), found = [];
	if (words.length)
		for (let p = 0; p < shown.length; p++) {
			const all = searchText(shown[p]);
			if (words.every(word => all.includes(word)))
				found.push(p);
		}
	return found;
}

/* What a record says of saving and loading, in a few words. */
function movedText(i) {
	if (col.kind[i] === OWNER)
		return `registers: ${ownerText(col.owner[i], i)}`;
	if (col.kind[i] === UPDATE)
		return meta.names[col.note[i]];
	if (col.avoided[i])
		return "load avoided";
	if (col.move[i] === SAVE)
		return "saved: " + (maskText(col.saved[i]) || "all initial");
	return col.move[i] === LOAD ? "loaded: " + (maskText(col.loaded[i]) || "all initial") : "";
}
