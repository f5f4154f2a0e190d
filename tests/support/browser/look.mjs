// Opens a page in a real Chromium and says, as JSON, what went wrong with it and what it looks like to a person.
//   node look.mjs NODE_MODULES CHROMIUM PAGE.html [SCREENSHOT_FOLDER]
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, page_file, pictures] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(modules, "x.js")));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const VIEWS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "narrow", colorScheme: "light", viewport: { width: 390, height: 800 } },
  { name: "narrowest-dark", colorScheme: "dark", viewport: { width: 320, height: 800 } },
  { name: "narrow-dark", colorScheme: "dark", viewport: { width: 390, height: 800 } },
  { name: "print", colorScheme: "light", viewport: { width: 1000, height: 900 }, media: "print" },
];

const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const said = { console: [], requests: [], dialogs: [], violations: [], wide: [], keys: {}, times: {} };

async function open(view) {
  const context = await started.newContext({ colorScheme: view.colorScheme, viewport: view.viewport, bypassCSP: false });
  const page = await context.newPage();
  page.on("console", (message) => said.console.push(`${view.name}: ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.console.push(`${view.name}: ${error.message}`));
  page.on("dialog", (dialog) => { said.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.url().startsWith("file:") && !request.url().startsWith("data:")) said.requests.push(request.url());
  });
  const before = Date.now();
  await page.goto(pathToFileURL(page_file).href);
  said.times[view.name] = Date.now() - before;
  return { context, page };
}

// axe is put in by the debugger, which the page's own policy does not bind.
async function scan(page, name) {
  const found = await page.evaluate(async (source) => {
    (0, eval)(source);
    return (await window.axe.run(document, { resultTypes: ["violations"] })).violations;
  }, (await import("node:fs")).readFileSync(axe, "utf8"));
  for (const one of found) {
    said.violations.push(`${name}: ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((n) => n.html).join(" | ")}`);
  }
}

// The longest of 40 frames while the page is scrolled from top to bottom, in milliseconds.
async function scrolled(page) {
  return page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    await frame();
    let worst = 0;
    for (let step = 0; step < 40; step += 1) {
      const begun = performance.now();
      scrollTo(0, (document.documentElement.scrollHeight * step) / 40);
      await frame();
      worst = Math.max(worst, performance.now() - begun);
    }
    return Math.round(worst);
  });
}

for (const view of VIEWS) {
  const { context, page } = await open(view);
  if (view.media) {
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await page.emulateMedia({ media: view.media });
  }
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) said.wide.push(view.name);
  const small = await page.evaluate(() => document.querySelectorAll(".exchange").length) <= 150;
  if (pictures) await page.screenshot({ path: join(pictures, `${view.name}.png`), fullPage: small });
  const many = await page.evaluate(() => items.length);
  if (small || (many <= 1000 && view.name === "narrow")) await scan(page, view.name);
  await context.close();
}

const { context, page } = await open(VIEWS[0]);
const focused = () => page.evaluate(() => document.activeElement.closest(".exchange")?.id ?? null);
const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

// How long it is until what was typed is found, and what the page says then.
async function searched(word) {
  const took = await page.evaluate(async (word) => {
    const field = document.querySelector('[data-filter="search"]');
    const before = performance.now(), done = new Promise((yes) => {
      document.querySelector(".sequence").addEventListener("arranged", () => requestAnimationFrame(yes), { once: true });
    });
    field.value = word;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await done;
    return Math.round(performance.now() - before);
  }, word);
  return [took, await page.textContent("#found")];
}

if (await page.$(".exchange")) {
  said.repeats = await page.evaluate(() => [...document.querySelectorAll(".fold[aria-expanded]")].map((one) => one.textContent));
  await page.click('[data-do="fold"]');
  await page.focus(".exchange > summary");
  said.keys.first = await focused();
  await page.keyboard.press("ArrowDown");
  said.keys.down = await focused();
  const opened = () => page.evaluate(() => document.activeElement.closest(".exchange").open);
  const before = await opened();
  await page.keyboard.press("Enter");
  said.keys.enter = (await opened()) !== before;
  await page.keyboard.press("End");
  said.keys.end = await focused();
  await page.keyboard.press("/");
  said.keys.slash = await page.evaluate(() => document.activeElement.type);
  await frame();
  said.curves = await page.evaluate(() => document.querySelectorAll(".curves path").length);
  said.search = { nothing: await searched("no such words"), word: await searched("/SWAP 200"), all: await searched("") };
  said.times.frame = await scrolled(page);
  await page.click('[data-do="all"]');
  said.times.frame_open = await scrolled(page);
  await page.click('[data-do="none"]');
  if ((await page.evaluate(() => items.length)) <= 1000) await scan(page, "unfolded");
}
said.text = await page.evaluate(() => document.body.innerText);
said.scripts = await page.evaluate(() => document.querySelectorAll("script").length);
await context.close();
await started.close();
console.log(JSON.stringify(said));
