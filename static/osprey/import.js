// One import: how far it is, what became of every file, what to know, and the ways to stop, go on and take it back.
import { address, call, get, insist, patch, post } from "./api.js";
import { $, announce, data, h, show, toast } from "./dom.js";
import { drawForecast } from "./import-forecast.js";
import { count, duration, number } from "./words.js";

const page = data("import");
let row = page.import;
let state = new URLSearchParams(window.location.search).get("state") || "";
let next = null;
let turn = 0;
let pace = null;
const UNDER_WAY = ["waiting", "leased"];
const BAD = ["failed", "rejected"];
const PAGE = 100;
const base = `/imports/${row.id}`;

// ---- how far it is ----

function stateWords() {
  if (row.moving) return row.is_withdrawn ? "being withdrawn" : "being brought back";
  if (row.is_withdrawn) return "withdrawn";
  if (row.asks) return "waits for you";
  if (row.kind === "watch" && UNDER_WAY.includes(row.state)) return "watched";
  return { waiting: row.reason ? "pauses" : "waiting", leased: "under way", done: "done", failed: "failed", stopped: "stopped" }[row.state];
}

function left() {
  const now = performance.now();
  if (pace === null || row.state !== "leased") pace = { at: now, done: row.done };
  const rate = (row.done - pace.done) / ((now - pace.at) / 1000);
  return rate > 0 && row.total > row.done ? `, ${duration((row.total - row.done) / rate)} left` : "";
}

function figure(value, words, bad = false) {
  return h("div", { class: `figure${bad && value ? " is-bad" : ""}` }, h("b", { text: number(value) }), h("span", { text: words }));
}

function draw() {
  const { counts } = row;
  const isWorking = UNDER_WAY.includes(row.state) && !row.asks;
  $("#state").textContent = stateWords();
  $("#state").className = `tag${row.state === "done" && !row.is_withdrawn ? " good" : ""}${row.state === "failed" ? " bad" : ""}`;
  show($("#progress"), isWorking && row.kind !== "watch");
  $("#bar").max = Math.max(1, row.total);
  if (row.total) $("#bar").value = Math.min(row.done, row.total);
  else $("#bar").removeAttribute("value");
  $("#words").textContent = row.total ? `${number(row.done)} of ${count(row.total, "file")} dealt with${left()}` : `${count(row.done, "file")} dealt with`;
  $("#reason").textContent = row.reason;
  show($("#reason"), Boolean(row.reason));
  show($("#withdrawn"), row.is_withdrawn);
  $("#figures").replaceChildren(...[
    figure(counts.added, "added"), figure(counts.duplicates, "already here"), figure(counts.rejected, "rejected", true), figure(counts.failed, counts.missing ? `failed, ${number(counts.missing)} missing` : "failed", true),
    counts.reviews ? figure(counts.reviews, "labels given") : null, counts.annotations > counts.reviews ? figure(counts.annotations, "animals and boxes") : null,
    counts.predictions ? figure(counts.predictions, "answers of the machine") : null,
  ].filter(Boolean));
  show($("#figures"), !row.asks);
  $("#fact-format").textContent = page.formats[row.format] || row.format || "not known yet";
  $("#fact-checksum").textContent = row.checksum || "once it is done";
  drawTrust();
  drawButtons(isWorking);
  drawNotices();
  drawChips();
}

function drawTrust() {
  if (!$("#fact-trusted")) return;
  $("#fact-trusted").textContent = row.trusted ? "versions may be tested on its labels" : "versions are not tested on its labels";
  if ($("#trust")) $("#trust").textContent = row.trusted ? "Do not test on them" : "Test on them";
}

function drawButtons(isWorking) {
  show($("#stop"), isWorking);
  show($("#resume"), ["stopped", "failed"].includes(row.state) && !row.asks && !row.is_withdrawn);
  show($("#discard"), ["stopped", "failed"].includes(row.state) && !row.counts.added && !row.counts.duplicates);
  show($("#withdraw"), !isWorking && !row.is_withdrawn && !row.asks && row.counts.files > 0);
  show($("#bring-back"), row.is_withdrawn);
}

// ---- what to know ----

function mergeForm(from, into) {
  const button = h("button", { type: "button", class: "btn btn-sm btn-quiet", text: `${from.name} → ${into.name}`, title: `Let ${from.name} mean ${into.name}`, onclick: async () => {
    const body = new FormData();
    body.set("into", into.key);
    body.set("csrfmiddlewaretoken", document.querySelector('meta[name="csrf-token"]').content);
    const answer = await fetch(`/p/${page.project}/labels/${from.id}/merge/`, { method: "POST", body, redirect: "manual", credentials: "same-origin" }).catch(() => null);
    const isDone = answer !== null && (answer.ok || answer.type === "opaqueredirect");
    toast(isDone ? `${from.name} means ${into.name} from now on.` : "That did not work: merge them on the project's page.", { bad: !isDone });
    if (isDone) button.closest(".notice").remove();
  } });
  return button;
}

function notice(one) {
  const isWarn = ["missing", "contradiction", "no-picture", "synonyms", "box"].includes(one.kind);
  const canMerge = one.kind === "synonyms" && page.mayMerge && !row.is_withdrawn;
  return h("div", { class: `notice${isWarn ? " is-warn" : ""}` }, h("p", { text: one.text }),
    one.examples ? h("details", { class: "fold" }, h("summary", { text: "Which" }), h("ul", { class: "missing-list" }, one.examples.map((text) => h("li", { text })))) : null,
    canMerge ? h("div", { class: "row-form" }, mergeForm(one.labels[0], one.labels[1]), mergeForm(one.labels[1], one.labels[0])) : null);
}

let drawnNotices = "";

function drawNotices() {
  const text = JSON.stringify(row.notices);
  if (text === drawnNotices) return;
  drawnNotices = text;
  $("#notices").replaceChildren(...(row.notices.length ? row.notices.map(notice) : [h("p", { class: "empty", text: "Nothing to know." })]));
}

// ---- every file ----

function drawChips() {
  const { counts } = row;
  const chips = [["", "all", counts.files], ["failed", "failed", counts.failed], ["rejected", "rejected", counts.rejected], ["duplicate", "already here", counts.duplicates], ["received", "being recognised", null], ["done", "done", null]];
  $("#filters").replaceChildren(...chips.filter(([, , n]) => n !== 0).map(([value, words, n]) => h("button", { type: "button", class: `chip is-${value}`, "aria-pressed": String(state === value), onclick: () => choose(value) }, words, n === null ? null : [" ", h("b", { text: number(n) })])));
}

function choose(value) {
  state = value;
  const url = new URL(window.location);
  if (value) url.searchParams.set("state", value);
  else url.searchParams.delete("state");
  history.replaceState(null, "", url);
  $("#report").href = address(`${base}/report`, { state });
  drawChips();
  restart();
}

function line(item) {
  const name = item.image ? h("a", { href: `/i/${item.image}/`, text: item.path }) : item.path;
  const words = page.states[item.state] ?? item.state;
  return h("tr", {}, h("td", {}, name), h("td", { text: item.part }), h("td", { text: item.claimed_label }),
    h("td", { class: `is-${item.state}` }, words, item.reason ? h("span", { class: "why", text: item.reason }) : null));
}

async function more() {
  const mine = turn;
  const answer = await insist(() => get(next), { tries: 3 }).catch((problem) => { toast(problem.message, { bad: true }); return null; });
  if (answer === null || mine !== turn) return;
  $("#items").append(...answer.results.map(line));
  next = answer.next ? answer.next.replace(window.location.origin, "") : null;
  show($("#more"), Boolean(next));
  const isEmpty = !$("#items").children.length;
  show($("#no-items"), isEmpty);
  $("#no-items").textContent = state ? "No file is in this state." : "No file is dealt with yet.";
}

/** Answers of the recogniser come after the import: what is shown and still waits is looked at again. */
async function renew() {
  const mine = turn;
  if ($("#items").children.length > PAGE || !$("#items .is-received")) return;
  const answer = await get(address(`/uploads/${row.upload}/items`, { state, limit: PAGE }));
  if (mine === turn) $("#items").replaceChildren(...answer.results.map(line));
}

function restart() {
  turn += 1;
  $("#items").replaceChildren();
  next = address(`/uploads/${row.upload}/items`, { state, limit: PAGE });
  more();
}

// ---- one that asks ----

function drawAsking(found) {
  drawForecast($("#forecast"), found, page, {
    again: async (mapping, options) => {
      try {
        drawAsking({ ...(await post(`${base}/forecast`, { mapping, options, format: row.format })), mapping, options });
      } catch (problem) {
        toast(problem.message, { bad: true });
      }
    },
    start: (mapping, options) => act(() => post(`${base}/resume`, { options, ...(found.columns ? { mapping } : {}) }), "It begins."),
  });
}

async function act(what, words) {
  try {
    await what();
    toast(words);
    await refresh();
    if (!row.asks) $("#forecast").hidden = true;
  } catch (problem) {
    toast(problem.message, { bad: true });
  }
}

async function refresh() {
  const before = row.counts.files;
  row = await get(base);
  draw();
  if (before !== row.counts.files && $("#items").children.length < PAGE) restart();
}

async function follow() {
  for (;;) {
    const isMoving = row.moving || (UNDER_WAY.includes(row.state) && !row.asks);
    await new Promise((resolve) => setTimeout(resolve, isMoving && row.kind !== "watch" ? 1000 : 5000));
    if (document.hidden) continue;
    if (!isMoving) {
      await renew().catch(() => null);
      continue;
    }
    await refresh().catch(() => null);
    if (row.state === "done") announce(`The import is done: ${count(row.counts.added, "picture")} added.`);
  }
}

$("#stop")?.addEventListener("click", () => act(() => post(`${base}/stop`, {}), "It stops. What came in stays; you can go on later."));
$("#resume")?.addEventListener("click", () => act(() => post(`${base}/resume`, {}), "It goes on where it ended."));
$("#withdraw")?.addEventListener("click", () => {
  const why = window.prompt(`Take back all ${count(row.counts.added, "image")} of this import and all it said? Nothing is deleted, and it can be brought back. Why?`, "");
  if (why !== null) act(() => post(`/uploads/${row.upload}/withdraw`, { reason: why }), "Withdrawn.");
});
$("#bring-back")?.addEventListener("click", () => act(() => post(`/uploads/${row.upload}/bring-back`, {}), "It is being brought back."));
$("#trust")?.addEventListener("click", () => act(() => patch(base, { trusted: !row.trusted }), row.trusted ? "The next snapshot does not test on these labels." : "The next snapshot may test on these labels."));
$("#discard")?.addEventListener("click", async () => {
  try {
    await call("DELETE", base);
    window.location.assign(`/p/${page.project}/import/`);
  } catch (problem) {
    toast(problem.message, { bad: true });
  }
});
$("#more").addEventListener("click", more);
if (row.asks) drawAsking(row.forecast);
draw();
choose(state);
follow();
