"use strict";
// The exchanges: which of them are drawn, which a search or filter leaves, and which are folded because they repeat.
const sequence = document.querySelector(".sequence");
const tools = document.querySelector(".tools");
const AT_ONCE = 100; // rows that are drawn at once, where many are not drawn yet
const LONGEST_LOOP = 12; // requests of one turn of a loop that is folded
const items = []; // one for each exchange, in order, drawn (`element`) or not yet (`html`)
const opened = new Set(); // first exchange of each fold that the reader opened
const later = { count: 0, bring: null }; // live: how many older ones the server still has, and what asks for them

const byId = (id) => document.getElementById(id);

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // made by oauthtap, every word of a server in it escaped; the policy runs no script from here
  return template.content;
}

function element(name, members, ...children) {
  const fresh = Object.assign(document.createElement(name), members);
  fresh.append(...children);
  return fresh;
}

function ofElement(one) {
  const { like, stage, client = "", found } = one.dataset;
  const broken = one.classList.contains("broken");
  return { id: Number(one.id.slice(1)), element: one, html: null, like, stage, client, found: found !== undefined, broken };
}

function ofText(html) {
  const tag = html.slice(0, html.indexOf(">"));
  const value = (name) => tag.match(` ${name}="([^"]*)"`)?.[1] ?? "";
  const found = tag.includes(" data-found"), broken = tag.includes(" broken");
  const [like, stage, client] = ["data-like", "data-stage", "data-client"].map(value);
  return { id: Number(value("id").slice(1)), element: null, html, like, stage, client, found, broken };
}

function rowsOf(text) {
  return text.split(/(?=<details class="exchange)/).filter((one) => one.startsWith("<details")).map(ofText);
}

function place(id) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const item = (id) => (items[place(id)]?.id === id ? items[place(id)] : undefined);

function put(one) { // a new exchange, or a new state of one that is there
  const at = place(one.id);
  items.splice(at, items[at]?.id === one.id ? 1 : 0, one);
}

function draw(begin, end) { // from the last to the first: so each stands before the one that was drawn last
  for (let at = Math.min(end, items.length) - 1; at >= Math.max(begin, 0); at -= 1) {
    const one = items[at];
    if (one.element || one.state !== "shown") continue;
    one.element = made(one.html).firstElementChild;
    one.html = null;
    let next = at + 1;
    while (next < items.length && !items[next].element) next += 1;
    sequence.insertBefore(one.element, items[next]?.element ?? null);
  }
  arrange();
}

// --- search and filters

const SIGNS = { "&lt;": "<", "&gt;": ">", "&#34;": '"', "&#39;": "'", "&amp;": "&" };

function text(one) {
  one.text ??= (one.element ? one.element.textContent
    : one.html.replace(/<[^>]*>/g, "").replace(/&(?:lt|gt|amp|#34|#39);/g, (sign) => SIGNS[sign])).toLowerCase();
  return one.text;
}

const control = (name) => tools.querySelector(`[data-filter="${name}"]`);
const button = (name) => tools.querySelector(`[data-do="${name}"]`);
const isOn = (name) => button(name).getAttribute("aria-pressed") === "true";

function fitting() { // null: all of them
  const words = control("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const stage = control("stage").value, client = control("client").value, found = isOn("found");
  if (!words.length && !stage && !client && !found) return null;
  return (one) => (!found || one.found) && (!stage || one.stage === stage) && (!client || one.client === client)
    && words.every((word) => text(one).includes(word));
}

function resetFilters() {
  for (const name of ["search", "stage", "client"]) control(name).value = "";
  button("found").setAttribute("aria-pressed", "false");
}

function choices(name, all, every) {
  const select = control(name), chosen = select.value, wanted = ["", ...new Set(all)];
  if (select.options.length !== wanted.length) {
    select.replaceChildren(...wanted.map((one) => element("option", { value: one }, one || every)));
    select.value = chosen;
  }
  select.parentElement.hidden = wanted.length < 3;
}

// --- repeats

function loops() { // what repeats, a request or several of them in turn: { begin, end, turn }, without the first turn
  const keys = items.map((one) => (one.broken ? one.id : one.like)), found = [];
  for (let at = 0; at < keys.length; at += 1) {
    for (let turn = 1; turn <= LONGEST_LOOP; turn += 1) {
      let end = at + turn;
      while (end < keys.length && keys[end] === keys[end - turn]) end += 1;
      const more = Math.floor((end - at) / turn) - 1;
      if (more < 2 || more * turn < 3) continue;
      found.push({ begin: at + turn, end: at + turn + more * turn, turn });
      at += (more + 1) * turn - 1;
      break;
    }
  }
  return found;
}

function bar(begin, end, says, act, open) {
  const ids = begin === end - 1 ? `exchange ${items[begin].id}` : `exchanges ${items[begin].id}–${items[end - 1].id}`;
  const fresh = element("button", { type: "button", className: "fold" }, `${ids}: ${says}`);
  fresh.dataset.first = items[begin].id;
  if (open !== undefined) fresh.setAttribute("aria-expanded", String(open));
  fresh.addEventListener("click", act);
  return fresh;
}

function repeatBar({ begin, end, turn }) {
  const first = items[begin], open = opened.has(first.id), times = (end - begin) / turn;
  const line = first.element ?? made(first.html);
  const what = `${line.querySelector(".label").textContent} ${line.querySelector(".status").textContent}`;
  const says = turn === 1 ? `${times} more × ${what}` : `the same ${turn} requests, ${times} times more`;
  return bar(begin, end, says, () => {
    opened[open ? "delete" : "add"](first.id);
    arrange();
  }, open);
}

// --- what stands where

const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting, boundingClientRect } of seen) {
    if (isIntersecting && target.isConnected) target.fill(boundingClientRect.top < 0);
  }
}, { rootMargin: "800px 0px" });

function gapBar(begin, end) {
  const fresh = bar(begin, end, "not drawn yet", () => fresh.fill(false));
  fresh.fill = (fromBelow) => (fromBelow ? draw(end - AT_ONCE, end) : draw(begin, begin + AT_ONCE));
  near.observe(fresh);
  return fresh;
}

function laterBar() {
  const says = `${later.count} earlier exchanges, not fetched yet`;
  const fresh = element("button", { type: "button", className: "fold", onclick: () => later.bring() }, says);
  fresh.fill = later.bring;
  near.observe(fresh);
  return fresh;
}

function arrange() {
  const fits = fitting(), folds = new Map();
  if (!fits && isOn("fold")) for (const one of loops()) folds.set(one.begin, one);
  const held = Number(document.activeElement?.closest(".fold")?.dataset.first);
  near.disconnect();
  for (const one of sequence.querySelectorAll(".fold")) one.remove();
  let last = sequence.querySelector(".lanes"), gap = -1, count = 0, folded = 0;
  const put = (fresh) => { last.after(fresh); last = fresh; };
  const close = (end) => { if (gap >= 0) put(gapBar(gap, end)); gap = -1; };
  if (later.count && !fits) put(laterBar());
  for (const [at, one] of items.entries()) {
    const fold = folds.get(at);
    if (fold) {
      close(at);
      put(repeatBar(fold));
      if (!opened.has(one.id)) folded = fold.end;
    }
    one.state = fits && !fits(one) ? "out" : at < folded ? "folded" : "shown";
    count += one.state !== "out";
    if (one.state === "shown" && !one.element && gap < 0) gap = at;
    if (one.state !== "shown" || one.element) close(at);
    if (!one.element) continue;
    if (one.element.hidden !== (one.state !== "shown")) one.element.hidden = one.state !== "shown";
    last = one.element;
  }
  close(items.length);
  if (held) { // the bar that had the focus was made anew, or its rows are there now
    const again = sequence.querySelector(`.fold[data-first="${held}"]`) ?? item(held)?.element?.firstElementChild;
    again?.focus({ preventScroll: true });
  }
  const says = fits ? `${count} of ${items.length + later.count} exchanges${later.count ? ", searching …" : ""}` : "";
  if (byId("found").textContent !== says) byId("found").textContent = says;
  if (fits && later.count) later.bring();
  sequence.dispatchEvent(new Event("arranged"));
}

function gather() { // everything on the page, once
  for (const one of [...sequence.children]) {
    if (one.matches(".exchange")) items.push(ofElement(one));
    if (!one.matches("noscript")) continue;
    items.push(...rowsOf(one.textContent));
    one.remove();
  }
}

function refresh() { // after exchanges came
  choices("stage", items.map((one) => one.stage), "every stage");
  choices("client", items.map((one) => one.client).filter(Boolean).sort(), "every client");
  arrange();
}
