// One run: how far it is, its curves as they grow, and what it says. One event stream; the page itself holds no more.
import { announce, $, data, h, show } from "./dom.js";
import { LOSSES, SCORES, Curves, drawCurve } from "./run-curves.js";
import { duration, number } from "./words.js";

const page = data("run");
const UNDER_WAY = ["waiting", "leased"];
const MOST_LINES = 400;
const REOPEN = 5000;
const STATES = { waiting: "waiting", leased: "training", done: "done", failed: "failed", rejected: "rejected by its gate", cancelled: "cancelled" };
const UNIT = page.recipe === "sweep" ? "trial" : "epoch";
const curves = new Curves(page.recipe);
let run = page.standing;

// ---- how far it is ----

function stateWords() {
  if (run.code === "learned-nothing") return "failed: learned nothing";
  if (run.state === "waiting" && run.before) return `waiting, ${number(run.before)} before it`;
  return STATES[run.state] ?? run.state;
}

/** What is nought is not sent. Training says steps; `of` are then the epochs that it began with, none of them done. */
function share({ done = 0, of, step = 0, steps, epoch = 0, epochs }) {
  if (of && (done || !steps)) return done / of;
  if (steps) return step / steps;
  return epochs ? epoch / epochs : null;
}

function progressWords(progress) {
  const parts = [progress.stage ?? "beginning"];
  if (progress.of && (progress.done || !progress.epoch)) parts.push(`${number(progress.done ?? 0)} of ${number(progress.of)}`);
  else if (progress.epoch) parts.push(`epoch ${number(progress.epoch)} of ${number(progress.epochs)}`);
  else if (progress.words) parts.push(progress.words);
  if (progress.images_per_second) parts.push(`${rate(progress.images_per_second)} images/s`);
  if (progress.seconds_left) parts.push(`${duration(progress.seconds_left)} left`);
  return parts.join(" · ");
}

/** A large network on a processor learns less than one image a second: "0 images/s" would look like a fault. */
function rate(value) {
  return value < 10 ? value.toFixed(1) : number(Math.round(value));
}

const NIGHT = new Intl.DateTimeFormat("en-GB", { weekday: "long", hour: "2-digit", minute: "2-digit", timeZone: document.documentElement.dataset.zone || undefined, timeZoneName: "short" });

function waitingWords() {
  if (run.reason) return `${run.reason.charAt(0).toUpperCase()}${run.reason.slice(1).replace(/\.?$/, ".")} It goes on by itself.`;
  if (run.not_before && run.not_before * 1000 > Date.now()) return `It begins ${NIGHT.format(new Date(run.not_before * 1000))}, once the device is free.`;
  if (run.when === "idle") return "It begins once no picture waits for recognition.";
  return "It begins as soon as the device is free.";
}

function drawStanding() {
  const isWorking = UNDER_WAY.includes(run.state);
  $("#state").textContent = stateWords();
  $("#state").className = `tag${run.state === "done" ? " good" : ""}${["failed", "rejected"].includes(run.state) ? " bad" : ""}`;
  show($("#progress"), isWorking);
  const part = share(run.progress);
  if (part === null || run.state === "waiting") $("#bar").removeAttribute("value");
  else $("#bar").value = Math.min(1, part);
  $("#words").textContent = run.state === "waiting" ? waitingWords() : progressWords(run.progress);
  $("#reason").textContent = run.reason;
  show($("#reason"), Boolean(run.reason) && run.state !== "waiting");
  $("#device").textContent = run.device || "not known yet";
  show($("#cancel-form"), isWorking);
  show($("#resume-form"), ["cancelled", "failed"].includes(run.state) && run.code !== "learned-nothing");
}

// ---- curves and words ----

function drawCurves() {
  const isThere = curves.points.length > 0;
  show($("#no-curve"), !isThere);
  drawCurve($("#losses"), curves, LOSSES, { share: false, step: UNIT });
  drawCurve($("#scores"), curves, SCORES, { share: true, step: UNIT });
  const names = [...LOSSES, ...SCORES].filter(({ key }) => curves.has(key));
  $("#legend").replaceChildren(...names.map(({ key, words }) => h("li", { class: `is-${key.replaceAll("_", "-")}` }, words)));
}

function lineOf(one) {
  if (one.kind === "log") return one.text;
  if (one.kind === "stage") return one.text ? `${one.stage}: ${one.text}` : one.stage;
  if (one.kind !== "epoch") return null;
  const parts = [`epoch ${one.epoch ?? 0} of ${one.epochs ?? 0}`];
  if (one.text) parts.push(one.text);
  for (const { key, words } of [...LOSSES, ...SCORES]) if (one[key] !== undefined) parts.push(`${words} ${one[key].toFixed(3)}`);
  if (one.best) parts.push("best so far");
  return parts.join(", ");
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: document.documentElement.dataset.zone || undefined });

function addLines(said) {
  const log = $("#log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  for (const one of said) {
    const text = lineOf(one);
    if (text) log.append(h("li", { class: one.kind === "stage" ? "is-stage" : null }, h("time", { text: CLOCK.format(new Date(one.at * 1000)) }), h("span", { text })));
  }
  while (log.children.length > MOST_LINES) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

// ---- the stream ----

function take(news) {
  const before = run.state;
  run = news.run;
  curves.add(news.said);
  addLines(news.said);
  drawStanding();
  if (news.said.length) drawCurves();
  if (before === run.state || UNDER_WAY.includes(run.state)) return;
  announce(`The run is over: ${stateWords()}.`);
  // The server draws what came out: version, report, the way to activate it.
  if (UNDER_WAY.includes(before) && ["done", "rejected"].includes(run.state)) window.location.reload();
}

let source = null;

/** A stream that broke is opened again by the browser; one that was refused (a proxy whose site restarts) is not. */
function follow() {
  source = new EventSource(page.events);
  source.addEventListener("news", (event) => take(JSON.parse(event.data)));
  source.addEventListener("end", () => source.close());
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(followAnew, REOPEN);
  });
}

/** All of it is told again. */
function followAnew() {
  curves.forget();
  $("#log").replaceChildren();
  follow();
}

addEventListener("pagehide", () => source.close());
follow();
drawStanding();
drawCurves();
