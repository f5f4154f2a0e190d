// Opens the live page, types an issuer, applies the fix by keyboard, and says what the page shows of the sign-ins without and with it.
//   node fix.mjs NODE_MODULES CHROMIUM PAGE_URL ISSUER SCREENSHOT_FOLDER
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, address, issuer, pictures] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(modules, "x.js")));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await started.newPage({ viewport: { width: 1280, height: 900 } });
const said = { violations: [] };
await page.goto(address);
await page.waitForSelector("[data-issuer]");
await page.screenshot({ path: join(pictures, "live.png") });
await page.evaluate(() => { // all that the live region says, in order
  window.told = [];
  const region = document.getElementById("told");
  new MutationObserver(() => window.told.push(region.textContent)).observe(region, { childList: true });
});
await page.fill("[data-issuer]", "nonsense");
await page.click("[data-give]");
await page.waitForFunction(() => document.querySelector("[data-refused]").textContent);
said.refused = await page.textContent("[data-refused]");
await page.fill("[data-issuer]", issuer);
await page.press("[data-issuer]", "Enter");
await page.waitForSelector('[data-fix][aria-pressed="true"]');
console.log("applied");
await page.waitForFunction(() => document.querySelectorAll(".attempts tbody tr").length > 1);
said.attempts = await page.evaluate(() => [...document.querySelectorAll(".attempts tbody tr")].map((one) => one.innerText));
await page.screenshot({ path: join(pictures, "applied.png") });
await page.evaluate((source) => { (0, eval)(source); }, axe);
const scan = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
for (const one of scan.violations) said.violations.push(`${one.id}: ${one.help}: ${one.nodes[0].html}`);
await page.focus('[data-fix][aria-pressed="true"]');
await page.keyboard.press("Space");
said.off = Boolean(await page.waitForSelector('[data-fix][aria-pressed="false"]'));
said.kept = await page.evaluate(() => "fix" in document.activeElement.dataset);
said.told = await page.evaluate(() => window.told);
said.heading = (await page.innerText("h1")).replace(/^[✓✗] /, "");
await started.close();
console.log(JSON.stringify(said));
