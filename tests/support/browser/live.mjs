// Opens the live page in a real Chromium, takes a row in hand, lets eight more requests pass, and says what became of it.
//   node live.mjs NODE_MODULES CHROMIUM PAGE_URL TAP_ORIGIN [SCREENSHOT_FOLDER]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, address, tap, pictures] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(modules, "x.js")));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const said = { console: [], dialogs: [], outside: [], violations: [], rows: {}, focus: {}, open: {} };
const page = await started.newPage({ viewport: { width: 1280, height: 700 } });
page.on("console", (message) => said.console.push(`${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => said.console.push(error.message));
page.on("dialog", (dialog) => { said.dialogs.push(dialog.message()); dialog.dismiss(); });
page.on("request", (request) => {
  const url = request.url();
  if (!url.startsWith("data:") && new URL(url).origin !== new URL(address).origin) said.outside.push(url);
});

const count = () => page.evaluate(() => document.querySelectorAll(".exchange").length);
const focused = () => page.evaluate(() => document.activeElement.closest(".exchange")?.id ?? null);
const top = () => page.evaluate(() => document.getElementById("x5").getBoundingClientRect().top);
const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

await page.goto(address);
await page.waitForFunction(() => document.getElementById("live").textContent.startsWith("Live"));
said.rows.before = await count();
await page.focus("#x5 > summary");
await page.keyboard.press("Enter");
await page.evaluate(() => document.getElementById("x5").scrollIntoView({ block: "start" }));
await page.evaluate(() => scrollBy(0, -120));
await frame();
said.focus.before = await focused();
const before = await top();
for (let number = 0; number < 7; number += 1) await fetch(`${tap}/more/${number}`);
await fetch(`${tap}/token`, { method: "POST", body: "grant_type=authorization_code&code=code_canary_0123456789" });
const all = said.rows.before + 8;
await page.waitForFunction((all) => document.querySelectorAll(".exchange").length === all, all, { timeout: 20000 });
await frame();
said.rows.after = await count();
said.focus.after = await focused();
said.moved = (await top()) - before;
said.open = await page.evaluate(() => ({ x5: document.getElementById("x5").open, x6: document.getElementById("x6").open }));
said.status = await page.textContent("#live");
await page.keyboard.press("ArrowDown");
said.key = await focused();
await page.keyboard.press("End");
said.last = await focused();
await page.evaluate((source) => { (0, eval)(source); }, axe);
const scan = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
for (const one of scan.violations) said.violations.push(`${one.id}: ${one.help}: ${one.nodes[0].html}`);
if (pictures) await page.screenshot({ path: join(pictures, "live.png") });
await started.close();
console.log(JSON.stringify(said));
