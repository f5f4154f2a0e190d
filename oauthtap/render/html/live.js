"use strict";
// Puts in what is new. What is open, focused and in view stays so.
const page = document.body.dataset;
const has = JSON.parse(page.pieces); // piece to its digest: the server sends what differs
const table = document.querySelector(".sequence");
const MANY = 150;
let pause = 1000;

function say(on, words) {
  const line = document.getElementById("live");
  line.dataset.on = on;
  if (line.textContent !== words) line.textContent = words;
}

function made(text) {
  const template = document.createElement("template");
  template.innerHTML = text; // made by oauthtap, every word of a server in it escaped; the policy runs no script from here
  return template.content;
}

// --- what the reader had in hand

const FOCUS = "a[href], button, summary";

// Rows that the reader opened or closed. The others follow the report: open where it went wrong.
const touched = new Set();
document.addEventListener("click", (event) => {
  const row = event.target.closest(".exchange > summary")?.parentElement, link = event.target.closest('a[href^="#x"]');
  if (row) touched.add(row.id);
  if (link) touched.add(link.hash.slice(1));
  if (event.target.closest("[data-do]")) for (const one of table.querySelectorAll(".exchange")) touched.add(one.id);
}, true);

function held(element) {
  const focus = [...element.querySelectorAll(FOCUS)].indexOf(document.activeElement);
  return { focus, open: [...element.querySelectorAll("details")].map((one) => one.open) };
}

function given(element, { focus, open }) {
  [...element.querySelectorAll("details")].forEach((one, place) => { one.open = open[place] ?? one.open; });
  if (focus >= 0) [...element.querySelectorAll(FOCUS)][focus]?.focus({ preventScroll: true });
}

function anchor() {
  if (scrollY < 4) return null;
  const focused = document.activeElement?.closest(".exchange, #below");
  const inView = (one) => {
    const box = one.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const one = focused && inView(focused) ? focused : [...table.querySelectorAll(".exchange")].find(inView)
    ?? document.getElementById("below");
  return { id: one.id, top: one.getBoundingClientRect().top };
}

function anchored(before) {
  const one = before && document.getElementById(before.id);
  if (one) scrollBy({ top: one.getBoundingClientRect().top - before.top, behavior: "instant" });
}

// --- what is new

function exchangeRow(id, text) {
  const fresh = made(text).firstElementChild, old = document.getElementById(id);
  if (!old) return fresh;
  const before = held(old);
  if (touched.has(id) || before.focus >= 0) fresh.open = old.open;
  old.replaceWith(fresh);
  given(fresh, before);
  return fresh;
}

function refill(id, text) {
  const element = document.getElementById(id), before = held(element);
  element.replaceChildren(made(text));
  given(element, before);
}

function arrange(order, fresh) {
  const wanted = new Set(order);
  for (const one of table.querySelectorAll(".exchange")) if (!wanted.has(one.id)) one.remove();
  let place = document.getElementById("lanes").nextElementSibling;
  for (const id of order) {
    if (place?.id === id) place = place.nextElementSibling;
    else table.insertBefore(fresh.get(id) ?? document.getElementById(id), place);
  }
}

function take(news) {
  const before = anchor(), fresh = new Map();
  for (const [id, text] of Object.entries(news.pieces)) {
    if (["head", "lanes", "below"].includes(id)) refill(id, text);
    else fresh.set(id, exchangeRow(id, text));
  }
  arrange(news.order, fresh);
  Object.assign(has, news.digests);
  for (const id of Object.keys(has)) if (id.startsWith("x") && !news.order.includes(id)) delete has[id];
  document.title = news.title;
  document.documentElement.style.setProperty("--lanes", news.lanes);
  table.classList.toggle("many", news.order.length > MANY);
  table.dispatchEvent(new Event("rows"));
  anchored(before);
  say("yes", `Live, ${news.order.length} exchange${news.order.length === 1 ? "" : "s"} so far. What stands here may still change.`);
}

function connect() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${page.updates}${location.search}`);
  socket.addEventListener("open", () => {
    pause = 1000;
    socket.send(JSON.stringify(has));
  });
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    say("no", "No longer live: oauthtap has ended. This is what it saw last; the session folder has all of it.");
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, 60000);
  });
}

say("no", "Connecting");
connect();
