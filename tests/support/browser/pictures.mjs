// Takes the pictures of the README.
//   node pictures.mjs NODE_MODULES CHROMIUM FOLDER live|report|terminal URL
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, folder, what, url] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(join(modules, "x.js")))("playwright-core");
const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await started.newPage({ viewport: { width: 1280, height: what === "report" ? 1000 : 900 } });
const take = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
await page.goto(url.includes("/oauthtap/") || what !== "live" ? url : url.replace("/?", "/oauthtap/?"));
if (what === "live") {
  await page.waitForSelector("[data-issuer]");
  await take("live");
  await page.goto(url.replace("/oauthtap/", "/"));
  await page.waitForSelector(".flow-table");
  await page.waitForTimeout(1000);
  await page.locator(".flow-table tr", { hasText: "prm-as-entry-is-endpoint" }).first().click();
  await page.locator("a", { hasText: "Response" }).first().click();
  await page.waitForTimeout(1500);
  await take("mitmweb");
} else if (what === "report") {
  await page.waitForTimeout(500);
  await take("report");
} else {
  const [width, height] = await page.evaluate(() => document.documentElement.getAttribute("viewBox").split(" ").slice(2).map(Math.ceil));
  await page.setViewportSize({ width, height });
  await take("terminal");
}
await started.close();
