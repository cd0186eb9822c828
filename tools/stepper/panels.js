/*
 * What the page shows of one moment, apart from the lanes: the sentence, the lit arrow, the source, the boxes, the
 * list of records. All text comes from the trace and from fpu/transitions.def, and goes in as text, never as HTML.
 */
function make(tag, className, ...children) {
	const element = document.createElement(tag);
	element.className = className;
	element.append(...children);
	return element;
}

const byId = id => document.getElementById(id);
const time = i => (col.time[i] / 1e6).toFixed(3);

/* A scrolled list that holds only the rows in sight. render(place) makes a row. */
class VirtualList {
	constructor(box, height, render) {
		this.box = box;
		this.height = height;
		this.render = render;
		this.length = 0;
		this.spacer = box.appendChild(make("div", "spacer"));
		this.rows = box.appendChild(make("div", "rows"));
		box.addEventListener("scroll", () => this.draw());
	}

	show(length, place) {
		this.length = length;
		this.spacer.style.height = `${length * this.height}px`;
		const top = place * this.height, view = this.box.clientHeight;
		if (place >= 0 && (top < this.box.scrollTop || top + this.height > this.box.scrollTop + view))
			this.box.scrollTop = top - (view - this.height) / 2;
		this.draw();
	}

	draw() {
		const first = Math.floor(this.box.scrollTop / this.height);
		const last = Math.min(this.length, first + Math.ceil(this.box.clientHeight / this.height) + 1);
		const rows = [];
		for (let place = first; place < last; place++) {
			const row = this.render(place);
			row.style.top = `${place * this.height}px`;
			rows.push(row);
		}
		this.rows.replaceChildren(...rows);
	}
}

/* The table's line for a transition of the trace. */
function ruleOf(i) {
	const event = eventName(i), from = meta.states[col.from[i]], to = meta.states[col.to[i]];
	return meta.transitions.find(t => t.event === event && t.from === from && t.to === to);
}

/* A record that is no transition. */
function asideStory(i) {
	if (col.kind[i] === UPDATE)
		return [`Task ${taskText(i)} has changed one component of context ${meta.contexts[col.slot[i]]}`, movedText(i)];
	const who = `CPU ${col.cpu[i]}'s registers`;
	if (col.owner[i] === meta.kernel)
		return [`${who} are the kernel's now`, "a kernel section (kernel_fpu_begin) overwrites them"];
	if (col.owner[i] === meta.initial)
		return [`${who} hold initial values now`,
			"a program that may use no vector registers finds nobody's values there"];
	return [`${who} are nobody's now`, "they are about to be overwritten: no context may rely on them"];
}

function stateSpan(state) {
	return make("span", meta.states[state], meta.states[state]);
}

/* What the record means for the context that it takes the registers from. */
function displacedStory(i) {
	const slot = displaced(i);
	return slot < 0 ? "" : ` Task ${contextText(slot, i)} was CACHED there and is INACTIVE from now on.`;
}

function showStory(i) {
	const what = byId("what"), why = byId("why");
	if (col.kind[i] !== TRANSITION) {
		const [first, second] = asideStory(i);
		what.replaceChildren(first);
		why.replaceChildren(`${second}.`, displacedStory(i));
		return;
	}
	const { tid, name } = taskOf(i), moved = movedText(i), event = eventName(i), rule = ruleOf(i);
	const by = col.task[i] !== tid && event !== "SWITCH_IN" ? ` (done while task ${col.task[i]} ran)` : "";
	what.replaceChildren(`Task ${tid} (${name}) on CPU ${col.cpu[i]}${by}: `, stateSpan(col.from[i]), " \u2192 ",
		stateSpan(col.to[i]), moved ? `, ${moved}` : "");
	why.replaceChildren(make("b", "", event), `, ${meta.events[col.event[i]].text}. `,
		rule ? `Why so: ${rule.reason}.` : "", displacedStory(i));
}

function showDiagram(i) {
	for (const lit of byId("diagram").querySelectorAll(".lit"))
		lit.classList.remove("lit");
	byId("edge-CACHED-INACTIVE").classList.toggle("unasked", displaced(i) >= 0);
	if (col.kind[i] !== TRANSITION)
		return;
	const pair = `${meta.states[col.from[i]]}-${meta.states[col.to[i]]}`;
	for (const id of [`edge-${pair}`, `label-${pair}-${eventName(i)}`, `box-${meta.states[col.to[i]]}`])
		byId(id)?.classList.add("lit");
}

/* Names of what cannot happen under the trace's policy are pale. */
function dimDiagram() {
	for (const label of byId("diagram").querySelectorAll(".label"))
		label.classList.toggle("never", !label.dataset.policies.includes(meta.header.policy[0]));
}

function showSource(i) {
	const site = meta.sites[col.site[i]], source = byId("source");
	byId("site").textContent = site ? `${site.file}:${site.line} ${site.function}()` : "(not in this record)";
	if (!site) {
		source.replaceChildren();
		return;
	}
	source.replaceChildren(...(site.lines.length ? site.lines.map((text, k) => make("div",
		site.first + k === site.line ? "here" : "", make("span", "", `${site.first + k}`), text || " "))
		: ["(the file is not in this source tree)"]));
	source.scrollTop = 0;
}

function place(className, title, detail) {
	return make("span", `place ${className}`, title, make("small", "", detail));
}

/* A row of "At this moment": a CPU. */
function cpuRow(cpu, moment) {
	const owner = ownerOf(cpu, moment), swatch = make("i", "swatch");
	swatch.style.background = ownerColour(owner);
	const row = make("div", "row cpu", make("span", "", `CPU ${cpu}`, make("small", "", "the processor")),
		make("span", "place owner", swatch, ownerText(owner, moment), make("small", "", "registers belong to")));
	row.dataset.cpu = cpu;
	row.classList.toggle("here", cpu === col.cpu[moment]);
	return row;
}

/* A row of "At this moment": a context, with its two places. */
function contextRow(slot, moment) {
	const { record, state, cpu } = whereabouts(slot, moment), swatch = make("i", "swatch");
	swatch.style.background = contextColour(slot);
	const used = record < 0 ? "" : maskText(col.xstate[record]) || "all initial";
	const plain = record >= 0 && col.kind[record] === SNAPSHOT_CONTEXT && !col.formed[record];
	const why = plain ? "integer-only" : state === NONE ? "has ended" : "";
	const nothing = why ? place("empty", "none", why) : null;
	const name = plain ? "" : meta.states[state] ?? "not yet seen";
	const registers = nothing ?? (cpu >= 0
		? place("valid", `valid, CPU ${cpu}`, state === ACTIVE ? "may be changing" : "nothing to load")
		: place("stale", "not valid", "must be loaded"));
	const memory = nothing?.cloneNode(true) ?? (state === ACTIVE
		? place("stale", "stale", `last save: ${used}`) : place("valid", "valid", used));
	const row = make("div", "row context", make("span", "", swatch, contextText(slot, moment),
		make("small", meta.states[state] ?? "", name)), registers, memory);
	row.dataset.context = meta.contexts[slot];
	row.title = record < 0 ? "" : `context ${meta.contexts[slot]}, PKRU 0x${col.pkru[record].toString(16)}, ` +
		`last_cpu ${col.lastCpu[record]}, XSTATE_BV ${meta.masks[col.xstate[record]]}`;
	row.classList.toggle("here", slot === col.slot[moment]);
	return row;
}

/* A row of the list of records. */
function recordRow(i, here) {
	const site = meta.sites[col.site[i]], step = col.kind[i] === TRANSITION;
	const row = make("div", "record", ...[col.seq[i], time(i), col.cpu[i], taskText(i),
		label(i)].map(text => make("span", "", `${text}`)),
		step ? stateSpan(col.from[i]) : make("span", ""),
		step ? stateSpan(col.to[i]) : make("span", ""),
		make("span", "", movedText(i) + (col.lost[i] ? ` (${col.lost[i]} lost before)` : "")),
		make("span", "", site ? `${site.file}:${site.line}` : ""));
	row.dataset.record = i;
	row.classList.toggle("here", here);
	row.classList.toggle("aside", !step);
	return row;
}
