// What of a page is on its first screen, as JSON: the heading and the fields of the top card.
//   node first.mjs NODE_MODULES CHROMIUM PAGE.html SCREENSHOT_FOLDER
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browser, page_file, pictures] = process.argv.slice(2);
const { chromium } = createRequire(pathToFileURL(join(modules, "x.js")))("playwright-core");
const VIEWS = [[1280, 800], [390, 844], [1920, 1080]];
const started = await chromium.launch({
  executablePath: browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const said = [];
for (const [width, height] of VIEWS) {
  const page = await started.newPage({ viewport: { width, height } });
  await page.goto(pathToFileURL(page_file).href);
  const view = `${width}x${height}`;
  said.push({ view, ...(await page.evaluate(() => {
    const inView = (one) => one.getBoundingClientRect().top + 20 < innerHeight;
    return {
      wide: document.documentElement.scrollWidth > innerWidth,
      heading: document.querySelector("h1").textContent,
      stepper: new Set([...document.querySelectorAll(".steps li")].map((one) => one.getBoundingClientRect().top)).size,
      fields: [...document.querySelectorAll(".answers > div")].filter((one) => inView(one.querySelector("dd")))
        .map((one) => one.querySelector("dt").textContent),
    };
  })) });
  await page.screenshot({ path: join(pictures, `${view}.png`) });
}
await started.close();
console.log(JSON.stringify(said));
