/*
 * The page's controls and keys. There is one thing that changes, the place in the shown records; everything on the
 * page follows from it.
 */
const PAGE_STEPS = 20;
let at = 0;                            // place in shown
let task = -1, found = [], timer = 0;

const lanes = new Lanes(byId("lanes"), record => go(placeOf(record)));
const list = new VirtualList(byId("list"), 20, p => recordRow(shown[p], p === at));
let nowRows = [];
const now = new VirtualList(byId("now"), 34,
	k => k < cpus ? cpuRow(k, shown[at]) : contextRow(nowRows[k - cpus], shown[at]));

/* Only contexts of the chosen task, if one is chosen. */
function wanted(slot) {
	return task < 0 || taskOf(ofContext.numbers[ofContext.start[slot]]).tid === task;
}

function go(next) {
	at = Math.max(0, Math.min(next, shown.length - 1));
	const record = shown[at];
	showStory(record);
	showDiagram(record);
	showSource(record);
	nowRows = contextsIn(record, record).filter(wanted);
	const mine = nowRows.indexOf(col.slot[record]);
	now.show(cpus + nowRows.length, mine < 0 ? col.cpu[record] : cpus + mine);
	list.show(shown.length, at);
	lanes.show(record, wanted);
	showPosition(record);
}

function showPosition(record) {
	byId("position").value = at;
	const numbers = [["saves", "saves"], ["loads", "loads"], ["avoided", "loads avoided"]];
	byId("counters").replaceChildren(`so far, all tasks: `, ...numbers.flatMap(([name, text]) =>
		[make("b", "", `${totals[name][record]}`), ` ${text} `]),
		totals.lost[record] ? `(${totals.lost[record]} records lost) ` : "",
		`| record ${col.seq[record]} at ${time(record)} ms`);
	byId("matches").textContent = byId("search").value.trim()
		? `${placeAfter(found, at)} of ${found.length}` : "";
}

/* Shows only a task's records (-1: all), and stays where one is, or at the nearest record before. */
function choose(tid) {
	const record = shown[at], old = shown, only = chosen(tid);
	if (!only.length)
		return;
	shown = only;
	task = tid;
	if (shown !== old) {
		byId("position").max = shown.length - 1;
		byId("task").value = tid;
		found = search(byId("search").value);
	}
	go(placeOf(record));
}

function jump(step) {
	const event = byId("event").value;
	const good = i => event === "avoided" ? col.avoided[i] : label(i) === event;
	const next = seek(at, step, good);
	if (next >= 0)
		go(next);
}

function nextFound(step) {
	const place = placeAfter(found, at);
	const next = step > 0 ? found[place] : found[place - 1 - (found[place - 1] === at)];
	if (next !== undefined)
		go(next);
}

function play(on) {
	clearInterval(timer);
	timer = 0;
	if (on && at < shown.length - 1)
		timer = setInterval(() => {
			go(at + 1);
			if (at === shown.length - 1)
				play(false);
		}, 1000 / byId("speed").value);
	byId("play").textContent = timer ? "stop" : "play";
}

function help(open) {
	if (open)
		byId("help").showModal();
	else
		byId("help").close();
}

const KEYS = {
	ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1),
	ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1),
	PageDown: () => go(at + PAGE_STEPS), PageUp: () => go(at - PAGE_STEPS),
	Home: () => go(0), End: () => go(shown.length - 1), " ": () => play(!timer),
	e: () => jump(1), E: () => jump(-1), n: () => nextFound(1), N: () => nextFound(-1),
	t: () => choose(task < 0 ? subject(shown[at]) : -1), Escape: () => choose(-1),
	"/": () => byId("search").select(), "?": () => help(true),
	"+": () => lanes.resize(1), "-": () => lanes.resize(-1),
};

function onKey(event) {
	const typing = event.target.id === "search" && event.key !== "Escape" && event.key !== "Enter";
	if (event.ctrlKey || event.altKey || event.metaKey || byId("help").open || typing)
		return;
	if (event.target.id === "search" && event.key === "Enter")
		nextFound(event.shiftKey ? -1 : 1);
	if (event.key === "Escape" || event.key === "Enter")
		event.target.blur();
	const action = event.target.id === "search" && event.key !== "Escape" ? null : KEYS[event.key];
	if (!action)
		return;
	event.preventDefault();
	action();
}

function fillSelects() {
	const tasks = allTasks().map(([tid, names]) => new Option(`${tid} ${names}`, tid)), seen = new Set();
	byId("task").append(new Option("all tasks", -1), ...tasks);
	for (const i of shown)
		seen.add(label(i));
	const events = meta.events.map(event => event.name).filter(name => seen.has(name));
	byId("event").append(...events.map(name => new Option(name, name)), new Option("a load avoided", "avoided"));
	for (const [name, text] of [["owner", "another owner"], ["update", "one component changed"]])
		if (seen.has(name))
			byId("event").append(new Option(text, name));
}

function fillPage() {
	const how = meta.header.mechanism === "soft" ? "XSAVES by the model" : "the processor's own XSAVES";
	byId("about").textContent = `${meta.file}: ${count} records, ${cpus} CPU${cpus > 1 ? "s" : ""}, policy ${
		meta.header.policy}, ${how}${meta.cut ? " (the trace's end is missing)" : ""}`;
	for (const [colour, text] of [[STATE_COLOURS[ACTIVE], "ACTIVE: registers"], [STATE_COLOURS[CACHED], "CACHED: both"],
		[STATE_COLOURS[INACTIVE], "INACTIVE: memory"], [ownerColour(meta.kernel), "kernel"],
		[ownerColour(meta.initial), "initial"]]) {
		const swatch = make("i", "");
		swatch.style.background = colour;
		byId("legend").append(swatch, text);
	}
	byId("position").max = shown.length - 1;
	fillSelects();
	dimDiagram();
}

const CLICKS = { first: "Home", back: "ArrowLeft", forward: "ArrowRight", last: "End", play: " ", "event-back": "E",
	"event-forward": "e", "search-back": "N", "search-forward": "n", wide: "+", narrow: "-", "help-button": "?" };
for (const [id, key] of Object.entries(CLICKS))
	byId(id).addEventListener("click", KEYS[key]);
byId("help-close").addEventListener("click", () => help(false));
byId("position").addEventListener("input", event => go(+event.target.value));
byId("task").addEventListener("change", event => choose(+event.target.value));
byId("speed").addEventListener("change", () => timer && play(true));
byId("search").addEventListener("input", event => {
	found = search(event.target.value);
	showPosition(shown[at]);
});
byId("list").addEventListener("click", event => {
	const row = event.target.closest(".record");
	if (row)
		go(placeOf(+row.dataset.record));
});
byId("diagram").addEventListener("click", event => {
	const name = event.target.textContent && event.target.closest(".label")?.id.split("-").pop();
	if (name && [...byId("event").options].some(option => option.value === name)) {
		byId("event").value = name;
		jump(1);
	}
});
document.addEventListener("keydown", onKey);
window.addEventListener("resize", () => go(at));
fillPage();
go(0);
