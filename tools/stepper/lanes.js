/*
 * The lanes: a picture of the records around the current one, one column each. On top a lane for each CPU, coloured
 * by who owns its registers; below a lane for each context that lives then, by its state. Only what can be seen is
 * looked at, so that the length of the trace does not count.
 */
const LANE = 17, GUTTER = 118, GAP = 6, ZOOMS = [1, 2, 3, 5, 8, 13, 21];
const STATE_COLOURS = { [ACTIVE]: "#2e9e4f", [CACHED]: "#2f7bd0", [INACTIVE]: "#c4c4c4" };

class Lanes {
	constructor(canvas, choose) {
		this.canvas = canvas;
		this.zoom = 4;
		this.top = 0;                  // context lanes scrolled out above
		canvas.addEventListener("click", event => {
			const record = this.recordAt(event.offsetX);
			if (record >= 0)
				choose(record);
		});
		canvas.addEventListener("wheel", event => {
			event.preventDefault();
			this.top += Math.sign(event.deltaY);
			this.draw();
		}, { passive: false });
	}

	/* Shows a moment; only contexts that wanted(slot) says yes to. */
	show(moment, wanted) {
		this.moment = moment;
		this.wanted = wanted;
		this.follow = true;
		this.draw();
	}

	resize(step) {
		this.zoom = Math.min(ZOOMS.length - 1, Math.max(0, this.zoom + step));
		this.draw();
	}

	/* The first record that is drawn; the current one is in the middle, unless an end is near. */
	get first() {
		return Math.max(0, Math.min(this.moment - (this.columns >> 1), count - this.columns));
	}

	get last() {
		return Math.min(count - 1, this.first + this.columns - 1);
	}

	recordAt(x) {
		const record = this.first + Math.floor((x - GUTTER) / ZOOMS[this.zoom]);
		return x < GUTTER || record > this.last ? -1 : record;
	}

	x(record) {
		return GUTTER + (record - this.first) * ZOOMS[this.zoom];
	}

	prepare() {
		const { clientWidth: width, clientHeight: height } = this.canvas, scale = window.devicePixelRatio || 1;
		this.canvas.width = width * scale;
		this.canvas.height = height * scale;
		this.width = width;
		this.height = height;
		this.columns = Math.max(1, Math.floor((width - GUTTER) / ZOOMS[this.zoom]));
		this.context = this.canvas.getContext("2d");
		this.context.setTransform(scale, 0, 0, scale, 0, 0);
		this.context.clearRect(0, 0, width, height);
		this.context.font = "11px system-ui, sans-serif";
		this.context.textBaseline = "middle";
	}

	draw() {
		this.prepare();
		for (let cpu = 0; cpu < cpus && cpu < this.mostCpus; cpu++)
			this.drawCpu(cpu, cpu * LANE + 2);
		const start = this.cpuLanes * LANE + 2 + GAP;
		const slots = contextsIn(this.first, this.last).filter(this.wanted);
		const room = Math.max(1, Math.floor((this.height - start - 4) / LANE));
		this.scroll(slots, room);
		slots.slice(this.top, this.top + room).forEach((slot, k) => this.drawContext(slot, start + k * LANE));
		this.drawCursor();
		this.slots = slots;
	}

	get mostCpus() {
		return Math.max(1, Math.floor(this.height / LANE / 2));
	}

	get cpuLanes() {
		return Math.min(cpus, this.mostCpus);
	}

	/* Keeps the current record's context in sight when the moment has changed. */
	scroll(slots, room) {
		const at = slots.indexOf(col.slot[this.moment]);
		if (this.follow && at >= 0 && (at < this.top || at >= this.top + room))
			this.top = at - (room >> 1);
		this.follow = false;
		this.top = Math.max(0, Math.min(this.top, slots.length - room));
	}

	label(text, y, lit) {
		this.context.fillStyle = lit ? "#d2510a" : "#333";
		this.context.font = `${lit ? "bold " : ""}11px system-ui, sans-serif`;
		this.context.fillText(text, 6, y + LANE / 2, GUTTER - 10);
	}

	bar(from, to, y, colour, text, ink) {
		const left = this.x(from), right = Math.min(this.x(to), this.x(this.last + 1));
		this.context.fillStyle = colour;
		this.context.fillRect(left, y + 2, Math.max(1, right - left - (ZOOMS[this.zoom] > 2)), LANE - 4);
		this.context.font = "10px system-ui, sans-serif";
		if (text && right - left > this.context.measureText(text).width + 6) {
			this.context.fillStyle = ink;
			this.context.fillText(text, left + 3, y + LANE / 2 + 0.5);
		}
	}

	drawCpu(cpu, y) {
		this.label(`CPU ${cpu} registers`, y, cpu === col.cpu[this.moment]);
		const { numbers, start } = changes;
		let k = placeAfter(numbers, this.first, start[cpu], start[cpu + 1]) - 1;
		for (k = Math.max(k, start[cpu]); k < start[cpu + 1] && numbers[k] <= this.last; k++) {
			const owner = col.owner[numbers[k]], from = Math.max(numbers[k], this.first);
			const to = k + 1 < start[cpu + 1] ? numbers[k + 1] : count;
			const text = owner === meta.kernel ? "kernel" : ownerText(owner, from);
			this.bar(from, to, y, ownerColour(owner), text, owner === meta.initial ? "#333" : "#fff");
		}
	}

	drawContext(slot, y) {
		this.label(contextText(slot, this.last), y, slot === col.slot[this.moment]);
		this.context.fillStyle = contextColour(slot);
		this.context.fillRect(1, y + 4, 3, LANE - 8);
		const { numbers, start } = ofContext;
		let k = Math.max(placeAfter(numbers, this.first, start[slot], start[slot + 1]) - 1, start[slot]);
		for (; k < start[slot + 1] && numbers[k] <= this.last; k++)
			this.drawStay(slot, numbers[k], k + 1 < start[slot + 1] ? numbers[k + 1] : count, y);
	}

	/* From one record of a context to the next; CACHED ends where its CPU gets another owner. */
	drawStay(slot, record, next, y) {
		const { state, cpu } = whereabouts(slot, record), from = Math.max(record, this.first);
		const end = state === CACHED ? Math.min(next, this.lostAt(cpu, record)) : next;
		if (STATE_COLOURS[state] && end > from)
			this.stateBar(from, end, y, state);
		if (end < next && next > from)
			this.stateBar(Math.max(end, from), next, y, INACTIVE);
	}

	stateBar(from, to, y, state) {
		this.bar(from, to, y, STATE_COLOURS[state], meta.states[state], state === INACTIVE ? "#333" : "#fff");
	}

	/* The record after this one at which the CPU gets another owner. */
	lostAt(cpu, record) {
		const place = placeAfter(changes.numbers, record, changes.start[cpu], changes.start[cpu + 1]);
		return place < changes.start[cpu + 1] ? changes.numbers[place] : count;
	}

	drawCursor() {
		const x = this.x(this.moment);
		this.context.strokeStyle = "#d2510a";
		this.context.lineWidth = 1.5;
		this.context.strokeRect(x - 1, 1, Math.max(3, ZOOMS[this.zoom] + 1), this.height - 2);
	}
}
