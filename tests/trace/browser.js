/*
 * Drives a real browser for pages.py: node browser.js FOLDER URL, with actions as JSON on standard input; FOLDER has
 * playwright-core. Prints what each "read" saw on the page, or an "export" gave, and what went wrong inside the page.
 * It judges nothing.
 */
const [folder, url] = process.argv.slice(2);
const { chromium } = require(`${folder}/node_modules/playwright-core`);
const { readFileSync, existsSync } = require("fs");
const BROWSERS = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"];
const LAPTOP = { width: 1366, height: 650 };

/* Runs inside the page: all that a person can see of the current record. */
function read() {
	const text = element => element?.innerText.trim().replace(/\s+/g, " ") ?? "";
	const all = selector => [...document.querySelectorAll(selector)];
	const here = document.querySelector(".record.here");
	const places = row => [...row.querySelectorAll(".place")].map(p => p.className.replace("place ", ""));
	return {
		what: text(document.querySelector("#what")), why: text(document.querySelector("#why")),
		record: here ? [...here.children].map(text) : [], site: text(document.querySelector("#site")),
		source: text(document.querySelector("#source .here")), lit: all("#diagram .lit").map(e => e.id),
		cpus: Object.fromEntries(all(".row.cpu").map(row =>
			[row.dataset.cpu, row.querySelector(".owner").childNodes[1].textContent])),
		contexts: Object.fromEntries(all(".row.context").map(row =>
			[row.dataset.context, [text(row.querySelector("span > small")), ...places(row)]])),
		counters: all("#counters b").map(text), matches: text(document.querySelector("#matches")),
		elements: all("*").length, overflow: document.documentElement.scrollWidth > innerWidth
			|| document.documentElement.scrollHeight > innerHeight,
	};
}

/* What a person gets from speedscope with Ctrl-S, once it has read a file. */
async function exported(view) {
	await view.waitForFunction(() => document.body.innerText.includes("Export"), null, { timeout: 60000 });
	const [download] = await Promise.all([view.waitForEvent("download"), view.keyboard.press("Control+s")]);
	return JSON.parse(readFileSync(await download.path()));
}

const ACTIONS = {
	read: view => view.evaluate(read),
	export: exported,
	key: (view, key) => view.keyboard.press(key),
	click: (view, selector, x, y) => view.click(selector, x === undefined ? {} : { position: { x, y } }),
	choose: (view, selector, value) => view.selectOption(selector, value),
	type: (view, selector, text) => view.fill(selector, text),
	until: (view, selector, text) => view.waitForFunction(([s, t]) => document.querySelector(s).textContent === t,
		[selector, text], { timeout: 60000 }),
	picture: (view, path) => view.screenshot({ path }),
};

async function main() {
	const actions = JSON.parse(readFileSync(0)), seen = [], errors = [], requests = [];
	const browser = await chromium.launch({ executablePath: BROWSERS.find(existsSync) });
	const view = await browser.newPage({ viewport: LAPTOP });
	view.on("pageerror", error => errors.push(error.stack));
	view.on("request", request => requests.push(request.url()));
	await view.goto(url);
	for (const [name, ...words] of actions) {
		const result = await ACTIONS[name](view, ...words);
		if (name === "read" || name === "export")
			seen.push(result);
	}
	await browser.close();
	console.log(JSON.stringify({ seen, errors, requests }));
}

main().catch(error => {
	console.error(error.stack);
	process.exit(1);
});
