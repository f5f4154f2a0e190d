// Walks a page by keyboard alone, and says what a screen reader would hear, as JSON.
//   node keys.mjs NODE_MODULES CHROMIUM PAGE.html
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, page_file] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(join(modules, "x.js")))("playwright-core");
const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const context = await started.newContext({ viewport: { width: 1280, height: 800 } });
await context.grantPermissions(["clipboard-read", "clipboard-write"]);
const page = await context.newPage();
await page.goto(pathToFileURL(page_file).href);
await page.evaluate(() => { // a promise for the next frame, in which observers have drawn
  window.frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
});

async function press(key) {
  await page.keyboard.press(key);
  await page.evaluate(() => window.frame());
}

// What has the focus: the name by which it is known, whether an outline shows it, and whether it is on the screen.
const focused = () => page.evaluate(() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const at = document.elementFromPoint(Math.min(box.left + box.width / 2, innerWidth - 1), box.top + Math.min(box.height / 2, 20));
  return {
    tag: one.tagName, row: one.closest(".exchange")?.id ?? null,
    name: one.getAttribute("aria-label") ?? (one.labels?.[0]?.textContent || one.textContent).replace(/\s+/g, " ").trim(),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: Boolean(at) && (one.contains(at) || at.contains(one)),
  };
});
const told = () => page.textContent("#told");

const said = { stops: [], back: [] };
await press("Tab");
said.skip = await focused();
await press("Enter");
await press("Tab");
said.skipped = (await focused()).name;
await page.keyboard.type("register");
await page.waitForFunction(() => document.getElementById("found").textContent);
said.found = await page.textContent("#found");
await press("Enter");
said.first = (await focused()).row;
await press("/");
await press("Escape");
await page.waitForFunction(() => !document.getElementById("found").textContent);

await page.focus(".exchange > summary");
const { row, name: line } = await focused();
if (!(await page.evaluate((id) => document.getElementById(id).open, row))) await press("Enter");
await press("Tab");
said.inside = (await focused()).row === row && (await focused()).name !== line;
await press("Escape");
said.closed = { ...(await focused()), open: await page.evaluate((id) => document.getElementById(id).open, row) };

await page.focus('[data-do="all"]');
await press("Space");
said.all = await told();
await page.focus('[data-do="none"]');
await press("Enter");
said.none = await told();
await page.focus(".answers [data-copy]");
said.copy = (await focused()).name;
await press("Enter");
await page.waitForFunction(() => document.getElementById("told").textContent.startsWith("Copied"));
said.copied = [await told(), await page.evaluate(() => navigator.clipboard.readText())];

const fold = await page.$(".fold[aria-expanded]");
if (fold) {
  await fold.focus();
  await press("Space");
  said.fold = await page.evaluate(() => document.activeElement.getAttribute("aria-expanded"));
  await press("Space");
}

await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
await page.focus(".skip");
for (let stop = 0; stop < 400; stop += 1) {
  await press("Tab");
  const one = await focused();
  if (one.tag === "BODY") break;
  said.stops.push(one);
}
await page.evaluate(() => [...document.querySelectorAll("a, button, summary")].at(-1).focus());
for (let stop = 0; stop < 60; stop += 1) {
  await press("Shift+Tab");
  said.back.push(await focused());
}

// The tree that a screen reader reads, on a desktop and on a phone: [role, name] of all that speaks.
async function spoken() {
  const debug = await context.newCDPSession(page);
  const { nodes } = await debug.send("Accessibility.getFullAXTree");
  const byId = new Map(nodes.map((one) => [one.nodeId, one])), tree = [];
  const walk = (one) => {
    if (!one.ignored) tree.push([one.role?.value, one.name?.value ?? ""]);
    for (const id of one.childIds ?? []) if (byId.has(id)) walk(byId.get(id));
  };
  walk(nodes[0]);
  return tree;
}

const headings = () => page.evaluate(() => [...document.querySelectorAll("h1, h2, h3")]
  .filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1])));
const steps = (tree) => {
  const begin = tree.findIndex(([role, name]) => role === "list" && name === "Steps of the sign-in");
  const end = tree.findIndex(([role], at) => at > begin && role === "DescriptionList");
  return tree.slice(begin, end).filter(([role]) => role === "StaticText").map(([, name]) => name).join(" ");
};
said.headings = await headings();
said.language = await page.evaluate(() => document.documentElement.lang);
said.steps = {};
said.nameless = [];
for (const width of [1280, 320]) {
  await page.setViewportSize({ width, height: 800 });
  await page.evaluate(() => window.frame());
  const tree = await spoken();
  said.steps[width] = steps(tree);
  said.nameless.push(...tree.filter(([role, name]) => ["button", "link", "searchbox", "combobox", "DisclosureTriangle"].includes(role) && !name.trim()));
  said.roles = [...new Set(tree.map(([role]) => role))];
}
await started.close();
console.log(JSON.stringify(said));
