// The Upload page: one batch, live while it runs, filtered, with what went wrong in plain words.
import { address, get, insist, post } from "./api.js";
import { bar } from "./boxes.js";
import { $, $$, announce, data, h, onKeys, show, toast } from "./dom.js";
import { follow } from "./events.js";
import { FINAL, baseName, confidence, count, number, percent, stateWord } from "./words.js";

const PAGE = 120;
const page = data("upload");
const base = `/uploads/${page.uid}`;
const gallery = $("#gallery");
const cards = new Map(); // item id -> {element, item}
let filters = readFilters();
let next = null;
let later = []; // the lists that come after this one
let busy = false;
let turn = 0;
let counts = page.counts;
let lastLabels = page.labels;

// ---- filters ----

function readFilters() {
  const query = new URLSearchParams(window.location.search);
  return { state: query.get("state"), label: query.get("label"), low: query.get("low"), empties: query.get("empties") };
}

function queryOf(chosen) {
  return { state: chosen.state, label: chosen.label, low_confidence: chosen.low ? page.lowConfidence : null, empties: chosen.empties, limit: PAGE };
}

function choose(change) {
  filters = { state: null, label: null, low: null, empties: null, ...change };
  const url = new URL(window.location);
  url.search = "";
  for (const [name, value] of Object.entries(filters)) if (value) url.searchParams.set(name, value);
  history.pushState(null, "", url);
  restart();
}

function isChosen(change) {
  return ["state", "label", "low", "empties"].every((name) => (filters[name] || null) === (change[name] ?? null));
}

function filterButton(text, value, change, kind = "") {
  return h(
    "button",
    { type: "button", class: `filter ${kind}`, "aria-pressed": String(isChosen(change)), onclick: () => choose(isChosen(change) ? {} : change) },
    h("span", { class: "filter-name", text }), value === null ? null : h("b", { text: number(value) }),
  );
}

function drawFilters(labels) {
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  $("#states").replaceChildren(
    filterButton("all files", total, {}),
    ...Object.entries(counts).filter(([, n]) => n).map(([state, n]) => filterButton(stateWord(state), n, { state }, `is-${state}`)),
    filterButton("low confidence", null, { low: "1" }), filterButton("empties", null, { empties: "1" }),
  );
  const most = Math.max(1, ...labels.map(({ count: n }) => n));
  $("#labels").replaceChildren(...labels.map(({ key, name, count: n }) => {
    const button = filterButton(name, n, { label: key }, "with-bar");
    button.append(bar(n / most));
    return button;
  }));
  show($("#no-labels"), !labels.length);
}

// ---- how far it is ----

function labelsOf(upload) {
  return upload.labels ?? [];
}

function drawUpload(upload) {
  counts = upload.counts;
  lastLabels = upload.labels;
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const settled = [...FINAL].reduce((sum, state) => sum + (counts[state] || 0), 0);
  $("#upload-bar").max = Math.max(1, total);
  $("#upload-bar").value = settled;
  const waits = counts.expected ? ` ${count(counts.expected, "file waits", "files wait")} for bytes from the browser that sends them.` : "";
  $("#upload-words").textContent = total === settled
    ? `${count(total, "file")}, all settled.`
    : `${number(settled)} of ${count(total, "file")} settled.${waits}`;
  show($("#retry"), Boolean(counts.failed) && page.mayRetry);
  $("#retry").textContent = `Try ${count(counts.failed || 0, "failed file")} again`;
  drawFilters(labelsOf(upload));
}

let refreshTimer = null;

function refreshSoon() {
  refreshTimer ??= setTimeout(async () => {
    refreshTimer = null;
    try {
      drawUpload(await get(base));
    } catch (problem) {
      $("#upload-words").textContent = problem.message;
    }
  }, 1000);
}

// ---- the gallery ----

function thumbnailOf(item) {
  if (!item.image) return null;
  return h("img", { src: `/api/v1/images/${item.image}/thumbnail/256`, loading: "lazy", decoding: "async", alt: "" });
}

function fill(element, item) {
  const hasAnswer = Boolean(item.label);
  element.className = `card-item is-${item.state}`;
  element.replaceChildren(...[
    h("span", { class: "thumb" }, thumbnailOf(item) ?? h("span", { class: "no-thumb", text: "no picture" })),
    h("span", { class: "card-label", text: item.label ?? stateWord(item.state) }),
    hasAnswer && item.score !== null && h("span", { class: "card-sure", text: `${confidence(item.score)}, ${percent(item.score)}` }),
    h("span", { class: "card-path", text: baseName(item.path), title: item.path }),
    item.reason ? h("span", { class: "card-reason", text: item.reason }) : null,
    item.state === "duplicate" ? h("span", { class: "card-mark", text: "already here" }) : null,
  ].filter(Boolean));
}

function card(item) {
  const element = item.image ? h("a", { href: `/i/${item.image}/?upload=${page.uid}` }) : h("div", { tabindex: "0" });
  fill(element, item);
  cards.set(item.id, { element, item });
  return h("li", {}, element);
}

/** A zip that is unpacked is not a file any more: its entries stand for it. */
function isUnpacked(item) {
  return item.state === "done" && item.code === "archive";
}

/** Once all is settled, good files first and failures after; while files come, in the order of the list. */
function listsOf(chosen) {
  const isWhole = !Object.values(chosen).some(Boolean);
  const isSettled = Object.entries(counts).every(([state, n]) => !n || FINAL.has(state));
  const present = ["done", "duplicate", "failed", "rejected"].filter((state) => counts[state]);
  if (!isWhole || !isSettled || present.length < 2) return [address(`${base}/items`, queryOf(chosen))];
  return present.map((state) => address(`${base}/items`, queryOf({ state })));
}

async function more() {
  if (busy || next === null) return;
  busy = true;
  const mine = turn;
  show($("#loading"), true);
  try {
    const answer = await insist(() => get(next), { tries: 4 });
    if (mine !== turn) return;
    const fresh = answer.results.filter((item) => !isUnpacked(item) && !cards.has(item.id));
    gallery.append(...fresh.map(card));
    next = answer.next ? answer.next.replace(window.location.origin, "") : later.shift() ?? null;
    drawEmpty();
    if (window.location.hash === "" && cards.size <= PAGE) announce(`${count(cards.size, "file")} shown`);
  } catch (problem) {
    toast(problem.message, { bad: true });
  } finally {
    if (mine === turn) {
      busy = false;
      show($("#loading"), false);
      if (next && $("#end").getBoundingClientRect().top < window.innerHeight + 600) more();
    }
  }
}

function drawEmpty() {
  const isEmpty = cards.size === 0 && next === null;
  show($("#nothing"), isEmpty);
  const isFiltered = Object.values(filters).some(Boolean);
  $("#nothing").textContent = isFiltered
    ? "No file fits this filter. Choose “all files” to see the rest."
    : "No file has come yet. They appear here as soon as the browser or program that sends them has announced them.";
}

function restart() {
  turn += 1;
  busy = false;
  cards.clear();
  gallery.replaceChildren();
  [next, ...later] = listsOf(filters);
  refreshSoon();
  drawFilters(labelsOf({ labels: lastLabels }));
  more();
}

function news({ items, counts: counted }) {
  for (const one of items) {
    const known = cards.get(one.item);
    if (!known) continue;
    Object.assign(known.item, { ...one, id: one.item });
    if (known.element.tagName === "DIV" && one.image) known.element.parentElement.replaceWith(card(known.item));
    else fill(known.element, known.item);
  }
  if (counted || items.length) refreshSoon();
}

function lookMyself() {
  const unsettled = Object.entries(counts).some(([state, n]) => n && !FINAL.has(state));
  if (unsettled || page.isOpen) {
    refreshSoon();
    refreshWaiting();
  }
}

/** Without a stream: the cards on the page that still wait. */
async function refreshWaiting() {
  const waiting = [...cards.values()].filter(({ item }) => !FINAL.has(item.state)).map(({ item }) => item.id);
  if (!waiting.length) {
    if (!cards.size && next === null) restart();
    return;
  }
  const answer = await get(`${base}/items`, { after: Math.min(...waiting) - 1, limit: 200 }).catch(() => null);
  if (answer) news({ items: answer.results.map((item) => ({ ...item, item: item.id })) });
}

async function retry() {
  try {
    const answer = await insist(() => post(`${base}/retry`, {}));
    toast(`${count(answer.retried ?? 0, "file")} will be tried again.`);
    restart();
  } catch (problem) {
    toast(problem.message, { bad: true });
  }
}

/** Arrows walk the gallery as a grid. */
function walk(event) {
  const links = $$("#gallery a, #gallery [tabindex]");
  const at = links.indexOf(document.activeElement);
  const top = links[0]?.getBoundingClientRect().top;
  const columns = Math.max(1, links.filter((one) => one.getBoundingClientRect().top === top).length);
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const to = at < 0 ? 0 : at + step;
  links[to]?.focus();
  return Boolean(links[to]);
}

$("#retry").addEventListener("click", retry);
addEventListener("popstate", () => { filters = readFilters(); restart(); });
onKeys({ ArrowRight: walk, ArrowLeft: walk, ArrowDown: walk, ArrowUp: walk, r: () => (!$("#retry").hidden && retry(), true), a: () => choose({}) });
new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) more(); }, { rootMargin: "800px" }).observe($("#end"));
drawUpload({ counts: page.counts, labels: page.labels });
restart();
follow(page.uid, news, lookMyself);
