"use strict";
// Puts in what is new. What is open, focused and in view stays so. Builds on page.js.
const page = document.body.dataset;
const has = JSON.parse(page.pieces); // piece to its digest: the server sends what differs
const MANY = 150;
let pause = 1000;

function say(on, words) {
  const line = document.getElementById("live");
  if (line.dataset.on === "yes" && on === "no") tell(words);
  line.dataset.on = on;
  if (line.textContent !== words) line.textContent = words;
}

// --- what the reader had in hand

const FOCUS = "a[href], button, summary, input";

// Rows that the reader opened or closed. The others follow the report: open where it went wrong.
const touched = new Set();
document.addEventListener("click", (event) => {
  const row = event.target.closest(".exchange > summary")?.parentElement, link = event.target.closest('a[href^="#x"]');
  if (row) touched.add(row.id);
  if (link) touched.add(link.hash.slice(1));
  if (event.target.closest("[data-do]")) for (const one of sequence.querySelectorAll(".exchange")) touched.add(one.id);
}, true);

// What an element is to the reader: in a piece that was drawn anew, the same one gets the focus back.
const called = (one) => one.matches("summary") ? "summary" // its words change with the row
  : one.dataset.fix ?? one.getAttribute("aria-label") ?? one.getAttribute("href") ?? one.textContent;

function held(element) {
  const all = [...element.querySelectorAll(FOCUS)], at = all.indexOf(document.activeElement);
  const name = at < 0 ? null : called(all[at]);
  const focus = at < 0 ? null : { name, nth: all.slice(0, at).filter((one) => called(one) === name).length };
  const typed = [...element.querySelectorAll("input")].map((one) => one.value);
  return { focus, typed, open: [...element.querySelectorAll("details")].map((one) => one.open) };
}

function given(element, { focus, typed, open }) {
  [...element.querySelectorAll("input")].forEach((one, place) => { one.value = typed[place] ?? ""; });
  [...element.querySelectorAll("details")].forEach((one, place) => { one.open = open[place] ?? one.open; });
  if (!focus) return;
  const same = [...element.querySelectorAll(FOCUS)].filter((one) => called(one) === focus.name);
  (same[focus.nth] ?? same[0] ?? byId("live")).focus({ preventScroll: true });
}

function anchor() {
  if (scrollY < 4) return null;
  const focused = document.activeElement?.closest(".exchange, #below");
  const inView = (one) => {
    const box = one.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const one = focused && inView(focused) ? focused : items.find((one) => one.element && !one.element.hidden && inView(one.element))?.element
    ?? document.getElementById("below");
  return { id: one.id, top: one.getBoundingClientRect().top };
}

function anchored(before) {
  const one = before && document.getElementById(before.id);
  if (one) scrollBy({ top: one.getBoundingClientRect().top - before.top, behavior: "instant" });
}

// --- fixes: the switches of the keyboard, for this page alone

async function change(asked) {
  const token = document.cookie.match(/(?:^|; )_mitmproxy_xsrf=([^;]*)/)?.[1] ?? "";
  const headers = { "Content-Type": "application/json", "X-XSRFToken": token };
  const answer = await fetch(`${page.folder}fixes`, { method: "POST", headers, body: JSON.stringify(asked) });
  const line = document.querySelector("[data-refused]");
  if (line) line.textContent = answer.ok ? "" : answer.status === 400 ? await answer.text() : "Refused: reload the page.";
  if (!answer.ok) return;
  if (asked.look) tell("Asking servers.");
  else tell(asked.on === false ? `${asked.fix} is no longer applied.` : `${asked.fix ?? asked.rule} is applied. Let the client sign in once more.`);
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-fix], [data-give], [data-look]");
  if (!pressed) return;
  const issuer = pressed.closest(".offers").querySelector("[data-issuer]");
  if ("fix" in pressed.dataset) change({ fix: pressed.dataset.fix, on: pressed.getAttribute("aria-pressed") !== "true" });
  else if ("give" in pressed.dataset) change({ rule: issuer.dataset.issuer, value: issuer.value });
  else change({ look: true });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.target.closest("[data-issuer]")?.closest(".offers").querySelector("[data-give]").click();
});

// --- what is new

function exchangeRow(id, text) {
  const known = item(Number(id.slice(1)));
  if (!known?.element) return put(ofText(text));
  const fresh = made(text).firstElementChild, old = known.element, before = held(old);
  if (touched.has(id) || before.focus) fresh.open = old.open;
  old.replaceWith(fresh);
  given(fresh, before);
  put(ofElement(fresh));
}

function refill(id, text) {
  const element = document.getElementById(id), before = held(element);
  element.replaceChildren(made(text));
  given(element, before);
}

function verdict() { // in one sentence
  const words = (selector) => document.querySelector(selector)?.innerText.replace(/\s+/g, " ").trim() ?? "";
  const cause = words(".cause b");
  return `${words("h1").replace(/^[✓✗] /, "")}.${cause && ` Cause: ${cause}`}`;
}

function take(news) {
  const said = verdict();
  const before = anchor(), last = items.at(-1)?.id ?? 0;
  for (const [id, text] of Object.entries(news.pieces)) {
    if (["head", "lanes", "below"].includes(id)) refill(id, text);
    else exchangeRow(id, text);
  }
  Object.assign(has, news.digests);
  for (const id of Object.keys(has)) if (id.startsWith("x") && !news.order.includes(id)) delete has[id];
  page.total = news.total;
  document.title = news.title;
  document.documentElement.style.setProperty("--lanes", news.lanes);
  later.count = news.total - items.length;
  refresh();
  if (items.length - place(last + 1) <= AT_ONCE) draw(place(last + 1), items.length);
  sequence.classList.toggle("many", items.length > MANY);
  anchored(before);
  if (verdict() !== said) tell(verdict());
  say("yes", `Live, ${news.total} exchange${news.total === 1 ? "" : "s"} so far. The verdict may still change.`);
}

// --- older ones, when they are looked for

let bringing = false;
let oldest = items[Math.max(0, items.length - Number(page.newest))]?.id ?? 0; // of those without a gap up to the newest
later.bring = async () => {
  if (bringing || !later.count) return;
  bringing = true;
  try {
    const answer = await fetch(`${page.folder}rows?before=${oldest}`);
    const fresh = answer.ok ? rowsOf(await answer.text()) : [], before = anchor();
    for (const one of fresh) if (!item(one.id)) put(one);
    oldest = fresh[0]?.id ?? 0;
    later.count = oldest ? Math.max(0, Number(page.total) - items.length) : 0;
    bringing = false;
    refresh();
    anchored(before);
  } catch {
    later.count = 0; // oauthtap has ended
    bringing = false;
    arrange();
  }
};

function connect() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${page.folder}updates${location.search}`);
  socket.addEventListener("open", () => {
    pause = 1000;
    socket.send(JSON.stringify(has));
  });
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    say("no", "No longer live: oauthtap has ended. This is the last state; the session folder has everything.");
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, 60000);
  });
}

later.count = Number(page.total) - items.length;
refresh();
say("no", "Connecting");
connect();
