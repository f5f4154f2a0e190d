// Works without any of this: rows open by themselves, links lead to rows. Here are keys, buttons, curves, printing.

function tell(words) { // to who cannot see it
  byId("told").textContent = words;
}
const LIMIT = 80; // more curves than this say nothing; then only those of the chosen row are drawn

function show(id) {
  const one = item(id);
  if (!one) return;
  if (one.state === "out") resetFilters();
  if (one.state !== "shown") unfold(place(id));
  if (!one.element) draw(place(id) - AT_ONCE / 2, place(id) + AT_ONCE / 2);
  one.element.open = true;
  focus(one);
  one.element.scrollIntoView({ block: "center" });
}

function unfold(at) {
  for (const { begin, end } of loops()) if (begin <= at && at < end) opened.add(items[begin].id);
  arrange();
}

function focus(one) {
  if (!one) return;
  if (!one.element) draw(place(one.id) - AT_ONCE / 2, place(one.id) + AT_ONCE / 2);
  one.element.firstElementChild.focus();
}

// --- curves from the exchange that told the client to go there

const curves = document.createElementNS("http://www.w3.org/2000/svg", "svg");
curves.setAttribute("class", "curves");
curves.setAttribute("aria-hidden", "true");
let chosen = null;

function chain(one) {
  const links = new Set();
  while (one && one.dataset.because && !links.has(one)) {
    links.add(one);
    one = byId(`x${one.dataset.because}`);
  }
  return links;
}

function middle(one) {
  const line = one.firstElementChild.getBoundingClientRect();
  return line.top + line.height / 2 - sequence.getBoundingClientRect().top;
}

function curve(one, marked) {
  const from = byId(`x${one.dataset.because}`);
  if (!from || from.hidden || one.hidden) return;
  const width = curves.getBoundingClientRect().width;
  const top = middle(from), end = middle(one);
  const out = width - 6 - Math.min(width - 10, 8 + Math.sqrt(Math.abs(end - top)) * 1.1);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", `M${width - 4} ${top} C${out} ${top} ${out} ${end} ${width - 4} ${end} m-5 -3 l5 3 l-5 3`);
  const kinds = [];
  if ("guess" in one.dataset) kinds.push("guess");
  if (marked) kinds.push("chosen");
  if (one.classList.contains("broken")) kinds.push("broken");
  path.setAttribute("class", kinds.join(" "));
  curves.append(path);
}

function drawCurves() {
  curves.replaceChildren();
  const marked = chain(chosen || sequence.querySelector(".broken"));
  const shown = items.filter((one) => one.element && one.state === "shown");
  const all = shown.length <= LIMIT ? shown.map((one) => one.element) : marked;
  for (const one of all) if (one.dataset.because) curve(one, marked.has(one) && chosen !== null);
}

let waiting = 0;
function redraw() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(drawCurves);
}

// --- keys, buttons, links, print

function key(event) {
  const line = event.target.closest(".exchange > summary");
  if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const shown = items.filter((one) => one.state === "shown");
  const at = shown.findIndex((one) => one.element === line.parentElement);
  if (step) focus(shown[at + step]);
  else if (event.key === "Home") focus(shown[0]);
  else if (event.key === "End") focus(shown.at(-1));
  else return;
  event.preventDefault();
}

function press(pressed) {
  if (pressed.hasAttribute("aria-pressed")) {
    pressed.setAttribute("aria-pressed", String(pressed.getAttribute("aria-pressed") !== "true"));
    arrange();
  } else {
    const open = pressed.dataset.do === "all";
    for (const one of items) if (one.element && one.state === "shown") one.element.open = open;
    tell(open ? "The exchanges are open." : "The exchanges are closed.");
  }
  redraw();
}

async function copy(pressed) {
  const name = pressed.ariaLabel;
  try {
    await navigator.clipboard.writeText(pressed.parentElement.querySelector("pre, code").textContent);
    pressed.textContent = "Copied";
  } catch {
    pressed.textContent = "Not copied";
  }
  tell(`${pressed.textContent}: ${name.replace(/^Copy /, "")}`);
  setTimeout(() => { pressed.textContent = "Copy"; }, 2000);
}

// Escape closes what is open around the focus, the innermost first; the focus goes to its line.
function closeAround(event) {
  const around = event.key === "Escape" && event.target.closest("details[open]");
  if (!around) return;
  around.open = false;
  around.firstElementChild.focus();
  event.preventDefault();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#x"]'), pressed = event.target.closest("[data-copy]");
  if (pressed) copy(pressed);
  if (!link) return;
  event.preventDefault();
  history.replaceState(null, "", link.hash);
  show(Number(link.hash.slice(2)));
});
document.addEventListener("keydown", closeAround);
if (navigator.clipboard) document.documentElement.classList.add("copies");

if (sequence) {
  sequence.prepend(curves);
  sequence.addEventListener("keydown", key);
  sequence.addEventListener("focusin", (event) => {
    chosen = event.target.closest(".exchange");
    redraw();
  });
  sequence.addEventListener("arranged", () => {
    chosen = chosen && byId(chosen.id);
    redraw();
  });
  new ResizeObserver(redraw).observe(sequence);
  tools.hidden = false;
  for (const one of tools.querySelectorAll("[data-do]")) one.addEventListener("click", () => press(one));
  let typing = 0;
  tools.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(arrange, 60);
  });
  control("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") focus(items.find((one) => one.state === "shown"));
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    control("search").focus();
  });
  gather();
  refresh();
  addEventListener("hashchange", () => show(Number(location.hash.slice(2))));
  if (location.hash.startsWith("#x")) show(Number(location.hash.slice(2)));

  let closed = [];
  addEventListener("beforeprint", () => {
    draw(0, items.length);
    const every = items.filter((one) => one.element && !one.element.open && (items.length <= LIMIT || one.found));
    closed = [...every.map((one) => one.element), ...sequence.querySelectorAll(".token:not([open])")];
    for (const one of closed) one.open = true;
    drawCurves();
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
}
