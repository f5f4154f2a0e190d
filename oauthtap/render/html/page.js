"use strict";
// Works without any of this: rows open by themselves, links lead to rows. Here are keys, curves and printing.
const sequence = document.querySelector(".sequence");
let rows = sequence ? [...sequence.querySelectorAll(".exchange")] : [];
const LIMIT = 80; // more curves than this say nothing; then only those of the chosen row are drawn

const row = (id) => document.getElementById("x" + id);
const shown = () => rows.filter((one) => one.offsetParent !== null);

function show(target) {
  if (!target || !target.classList.contains("exchange")) return;
  target.open = true;
  target.firstElementChild.focus({ preventScroll: true });
  target.scrollIntoView({ block: "center" });
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
    one = row(one.dataset.because);
  }
  return links;
}

function middle(one) {
  const line = one.firstElementChild.getBoundingClientRect();
  return line.top + line.height / 2 - sequence.getBoundingClientRect().top;
}

function curve(one, marked) {
  const from = row(one.dataset.because);
  if (!from || !from.offsetParent || !one.offsetParent) return;
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

function draw() {
  curves.replaceChildren();
  const marked = chain(chosen || sequence.querySelector(".broken"));
  const all = rows.length <= LIMIT ? rows : marked;
  for (const one of all) if (one.dataset.because) curve(one, marked.has(one) && chosen !== null);
}

let waiting = 0;
function redraw() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
}

// --- keys, buttons, links, print

function key(event) {
  const line = event.target.closest(".exchange > summary");
  if (!line || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const visible = shown();
  const place = visible.indexOf(line.parentElement);
  if (step) visible[place + step]?.firstElementChild.focus();
  else if (event.key === "Home") visible[0]?.firstElementChild.focus();
  else if (event.key === "End") visible.at(-1)?.firstElementChild.focus();
  else if (event.key === "Escape") line.parentElement.open = false;
  else return;
  event.preventDefault();
}

function press(button) {
  const what = button.dataset.do;
  if (what === "found") button.setAttribute("aria-pressed", String(sequence.classList.toggle("found")));
  else for (const one of rows) one.open = what === "all";
  redraw();
}

if (sequence) {
  sequence.prepend(curves);
  sequence.addEventListener("keydown", key);
  sequence.addEventListener("focusin", (event) => {
    chosen = event.target.closest(".exchange");
    redraw();
  });
  new ResizeObserver(redraw).observe(sequence);
  sequence.addEventListener("rows", () => { // only the live page gets new ones
    rows = [...sequence.querySelectorAll(".exchange")];
    chosen = chosen && document.getElementById(chosen.id);
    redraw();
  });
  for (const button of document.querySelectorAll("[data-do]")) {
    button.hidden = false;
    if (button.dataset.do === "found") button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => press(button));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#x"]');
    if (!link) return;
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    show(document.getElementById(link.hash.slice(1)));
  });
  addEventListener("hashchange", () => show(document.getElementById(location.hash.slice(1))));
  if (location.hash.startsWith("#x")) show(document.getElementById(location.hash.slice(1)));

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = rows.filter((one) => !one.open && (rows.length <= LIMIT || "found" in one.dataset));
    closed.push(...sequence.querySelectorAll(".token:not([open])"));
    for (const one of closed) one.open = true;
    draw();
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
}
