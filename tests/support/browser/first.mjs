// What of pages is on their first screens, as JSON: the heading, the step with the cross, and the fields of the top card.
//   node first.mjs NODE_MODULES CHROMIUM FOLDER_OF_PAGES
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, folder] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(join(modules, "x.js")))("playwright-core");
const VIEWS = [[1280, 800], [390, 844], [1920, 1080]];
const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const said = {};
for (const [width, height] of VIEWS) {
  const page = await started.newPage({ viewport: { width, height } });
  for (const file of readdirSync(folder).filter((one) => one.endsWith(".html"))) {
    await page.goto(pathToFileURL(join(folder, file)).href);
    const name = file.replace(".html", ""), view = `${width}x${height}`;
    (said[name] ??= {})[view] = await page.evaluate(() => {
      const seen = (one) => one.getBoundingClientRect().bottom <= innerHeight;
      const words = (one) => one.innerText.replace(/\s+/g, " ").replace(/ Copy\b/g, "").trim();
      const failed = document.querySelector(".steps .failed .long");
      return {
        wide: document.documentElement.scrollWidth > innerWidth,
        heading: words(document.querySelector("h1")),
        stepper: new Set([...document.querySelectorAll(".steps li")].map((one) => one.getBoundingClientRect().top)).size,
        failed: failed ? failed.textContent : "",
        fields: [...document.querySelectorAll(".answers > div")].filter((one) => seen(one.querySelector("dd")))
          .map((one) => [one.querySelector("dt").textContent, words(one.querySelector("dd"))]),
      };
    });
    await page.screenshot({ path: join(folder, `${name}-${width}.png`) });
  }
  await page.close();
}
await started.close();
console.log(JSON.stringify(said));
