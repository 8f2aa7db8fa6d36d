// The Images page: the grid of a project, filtered by the address, chosen by hand and labelled by one key.
import { get, insist } from "./api.js";
import { $, announce, data, h, show, toast } from "./dom.js";
import { Acts } from "./grid-acts.js";
import { watchPointer } from "./grid-band.js";
import { paintCell } from "./grid-cell.js";
import { Feed } from "./grid-feed.js";
import { Filters } from "./grid-filters.js";
import { Selection } from "./grid-select.js";
import { GridView } from "./grid-view.js";
import { Keys } from "./keys.js";
import { askLabel } from "./label-finder.js";
import { Outbox } from "./outbox.js";
import { keepList } from "./review-source.js";
import { askSure } from "./review-tell.js";
import { watchOutbox } from "./save-state.js";
import { number } from "./words.js";

const page = data("images");
const REVIEW_LIST = 500;
const SIZE = "osprey-grid-size";
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

const feed = new Feed(page.project);
const selection = new Selection();
const filters = new Filters(page);
const outbox = new Outbox({ project: page.project, person: page.person });
const view = new GridView($("#grid"), { paint, onNear: () => feed.more() });
const acts = new Acts({ outbox, feed, selection, filters: () => filters.chosen, refresh: () => view.refresh() });

function paint(cell, item, index) {
  paintCell(cell, item, { isChosen: selection.has(item.id), isCurrent: index === view.current });
}

// ---- what is there ----

function drawCount() {
  const total = filters.total;
  const loaded = feed.items.length;
  const words = total !== null ? number(total) : feed.isEnd ? number(loaded) : `more than ${number(loaded)}`;
  $("#count").textContent = feed.busy && !loaded ? "…" : `${words} ${total === 1 || (feed.isEnd && loaded === 1) ? "image" : "images"}`;
  const isEmpty = feed.isEnd && !loaded;
  show($("#grid-empty"), isEmpty || Boolean(feed.trouble));
  show($("#empty-project"), isEmpty && !Object.keys(filters.chosen).length);
  show($("#empty-filter"), isEmpty && Object.keys(filters.chosen).length > 0);
  show($("#grid-trouble"), Boolean(feed.trouble));
  $("#trouble-words").textContent = feed.trouble ?? "";
  view.box.setAttribute("aria-busy", String(feed.busy));
}

async function facets() {
  try {
    filters.setFacets(await insist(() => get(`/projects/${page.project}/facets`), { tries: 3 }));
    drawCount();
  } catch (problem) {
    toast(`The counts could not be read. ${problem.message}`, { bad: true });
  }
}

let facetTimer = null;

function facetsSoon() {
  clearTimeout(facetTimer);
  facetTimer = setTimeout(facets, 1200);
}

function restart() {
  selection.clear();
  drawCount();
  feed.restart(filters.values).then(() => announce($("#count").textContent));
}

// ---- the bar of what is chosen ----

function drawBar() {
  const { size, isAllMatching } = selection;
  show($("#chosen-bar"), size > 0);
  const total = filters.total;
  $("#chosen-count").textContent = isAllMatching ? `All ${total === null ? "" : `${number(total)} `}that match` : `${number(size)} chosen`;
  const more = !isAllMatching && size === feed.items.length && !feed.isEnd;
  show($("#choose-matching"), more && page.rights.review);
  $("#choose-matching").textContent = `Choose all ${total === null ? "" : `${number(total)} `}that match`;
  view.refresh();
}

function chooseAll() {
  if (selection.size === feed.items.length && selection.size && !feed.isEnd) selection.allMatching(feed.items);
  else selection.all(feed.items);
}

// ---- acts of keys and buttons ----

/** A key means the chosen images; with none chosen, the one the keys have walked to. */
function ensureChosen() {
  if (!selection.size && view.items[view.current] && view.box.contains(document.activeElement)) selection.only(view.items, view.current);
}

function decide(verdict, said) {
  if (!page.rights.review) return false;
  ensureChosen();
  return acts.decide(verdict, said);
}

const slot = (number) => (page.pinned[number - 1] ? decide("labelled", [page.pinned[number - 1]]) : false);

function find() {
  if ($("dialog[open]")) return;
  ensureChosen();
  if (!selection.size || !page.rights.review) {
    $("#f-label-find").focus();
    return;
  }
  const words = `What do the ${selection.isAllMatching ? "matching" : number(selection.size)} images show?`;
  const onPick = (label) => {
    view.box.focus();
    decide("labelled", [{ key: label.key, label: label.name }]);
  };
  askLabel(page.project, { onPick, mayCreate: page.rights.curate, words });
}

function cannotTell() {
  if (!page.rights.review || $("dialog[open]")) return;
  ensureChosen();
  const guesses = feed.items.filter((one) => selection.has(one.id) && one.label_key).slice(0, 200).map((one) => ({ label_key: one.label_key, score: 0 }));
  askSure(page.project, { blind: !guesses.length, guesses }, (said) => {
    view.box.focus();
    decide("cannot-tell", said);
  });
}

function review(index = view.current) {
  if (!page.rights.review || !feed.items.length) return details(index);
  const ids = feed.items.slice(index, index + REVIEW_LIST).map((one) => one.id);
  const chosen = feed.items.filter((one) => selection.has(one.id)).map((one) => one.id);
  const list = chosen.length > 1 && chosen.includes(ids[0]) ? chosen.slice(chosen.indexOf(ids[0])) : ids;
  keepList(page.project, list);
  window.location = `${page.reviewPage}?image=${ids[0]}`;
  return true;
}

function details(index = view.current) {
  if (!feed.items[index]) return false;
  window.location = `/i/${feed.items[index].id}/`;
  return true;
}

function walk(by, extend) {
  view.walk(view.current + by);
  if (extend) selection.range(view.items, view.current);
  else selection.anchor = view.current;
}

function setSize(size) {
  localStorage.setItem(SIZE, size);
  view.setSize(size);
  for (const button of document.querySelectorAll("[data-size]")) button.setAttribute("aria-pressed", String(button.dataset.size === size));
}

function keys() {
  const step = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -view.columns, ArrowDown: () => view.columns, PageUp: () => -view.columns * view.pageRows, PageDown: () => view.columns * view.pageRows };
  const can = page.rights.review;
  new Keys([
    can && { group: "Say what they are", keys: DIGITS, shown: ["1", "–", "9"], say: "that label for the chosen images", act: (_, { key }) => slot(Number(key)) },
    { group: "Say what they are", keys: ["/"], say: can ? "any label; with none chosen, filter by one" : "filter by a label", act: () => { find(); } },
    can && { group: "Say what they are", keys: ["e"], say: "empty: nothing there", act: () => decide("labelled", []) },
    can && { group: "Say what they are", keys: ["x"], say: "cannot tell, and what is sure", act: () => { cannotTell(); } },
    can && { group: "Say what they are", keys: ["b"], say: "bad image", act: () => decide("bad-image", []) },
    can && { group: "Say what they are", keys: ["u"], say: "undo the last change", act: () => { acts.undo(); } },
    { group: "Choose", shown: ["←", "→", "↑", "↓"], keys: Object.keys(step), shift: "own", repeats: true, say: "walk; with Shift, choose on the way", act: (_, { key, shift }) => walk(step[key](), shift) },
    { group: "Choose", keys: [" "], say: "choose or leave this one", act: () => (view.items.length ? selection.toggle(view.items, view.current) : false) },
    { group: "Choose", shown: ["Ctrl", "A"], say: "all that are loaded; again: all that match" },
    { group: "Choose", keys: ["Escape"], say: "choose none", act: () => selection.clear() },
    { group: "Open", keys: ["Enter"], say: "Review from this image on", act: () => review() },
    { group: "Open", keys: ["i"], say: "this image's page", act: () => details() },
    { group: "Open", keys: ["Home"], shift: "own", say: "the first", act: (_, { shift }) => walk(-Infinity, shift) },
    { group: "Open", keys: ["End"], shift: "own", say: "the last that is loaded", act: (_, { shift }) => walk(Infinity, shift) },
    { scope: "tell", keys: [...DIGITS, "0", "Enter"], act: (_, { key }) => { $(key === "Enter" ? "#tell .slot" : `#tell .slot[data-digit="${key}"]`)?.click(); } },
    { scope: "typing", keys: ["Escape"], act: (event) => (event.target.closest("dialog") ? false : view.box.focus()) },
  ].filter(Boolean));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "a" || event.target.closest("input, textarea, select, dialog")) return;
    event.preventDefault();
    chooseAll();
  });
}

function buttons() {
  const wire = (id, act) => $(`#${id}`)?.addEventListener("click", act);
  wire("do-find", find);
  wire("do-empty", () => decide("labelled", []));
  wire("do-cannot-tell", cannotTell);
  wire("do-bad", () => decide("bad-image", []));
  wire("do-review", () => review(Math.max(0, feed.items.findIndex((one) => selection.has(one.id)))));
  wire("do-clear", () => selection.clear());
  wire("choose-matching", () => selection.allMatching(feed.items));
  wire("try-again", () => restart());
  wire("clear-filters", () => filters.clear());
  wire("show-filters", () => {
    const open = $("#filters").classList.toggle("is-open");
    $("#show-filters").setAttribute("aria-expanded", String(open));
  });
  for (const button of document.querySelectorAll("[data-size]")) button.addEventListener("click", () => setSize(button.dataset.size));
  $("#quick")?.replaceChildren(...page.pinned.map((one, i) => h("button", { type: "button", class: "chip", onclick: () => slot(i + 1) }, h("kbd", { text: i + 1 }), ` ${one.label}`)));
}

feed.addEventListener("restart", () => { view.set(feed.items); drawCount(); });
feed.addEventListener("more", () => { view.set(feed.items); drawCount(); drawBar(); });
selection.addEventListener("change", drawBar);
filters.addEventListener("change", restart);
outbox.addEventListener("saved", facetsSoon);
watchPointer({ view, selection, open: (index) => review(index) });
watchOutbox(outbox, { open: (record) => { window.location = `/i/${record.images[0]}/`; } });
setSize(localStorage.getItem(SIZE) ?? (window.innerWidth < 600 ? "small" : "medium"));
keys();
buttons();
outbox.open();
restart();
facets();
