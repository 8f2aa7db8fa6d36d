// The strip over the list: how far an upload is, what is amiss, and which files must be given again.
import { $, h, show } from "./dom.js";
import { sideFileLine } from "./side-files.js";
import { isMissing } from "./supply.js";
import { FINAL, bytes, count, duration, number, stateWord } from "./words.js";

const ORDER = ["done", "duplicate", "rejected", "failed"];
let rate = { at: 0, settled: 0, perSecond: 0 };
let troubleShown = null;

export function forgetPace() {
  rate = { at: 0, settled: 0, perSecond: 0 };
}

function measure(settled) {
  const now = performance.now();
  if (now - rate.at > 2000) {
    if (rate.at) {
      const speed = ((settled - rate.settled) / (now - rate.at)) * 1000;
      rate.perSecond = rate.perSecond ? 0.7 * rate.perSecond + 0.3 * speed : speed;
    }
    rate = { ...rate, at: now, settled };
  }
  return rate.perSecond;
}

function chip(queue, state, value) {
  return h("a", { class: `chip is-${state}`, href: `/u/${queue.uid}/?state=${state}` }, h("b", { text: number(value) }), ` ${stateWord(state)}`);
}

/** Files that cannot come yet have no time they will be done. */
function words({ total, settled, missing, speed }) {
  const left = total - settled;
  if (!left) return `${count(total, "file")}: all settled`;
  const coming = left - missing;
  const parts = [`${number(settled)} of ${count(total, "file")} settled`];
  if (missing) parts.push(`${number(missing)} must be given again`);
  if (coming && speed > 0.05) parts.push(`${speed.toFixed(speed < 10 ? 1 : 0)} a second`, `about ${duration(coming / speed)} left`);
  return parts.join(", ");
}

/** `acts` are what a person can do about missing files: {giveAgain, leaveOut}. */
export function drawProgress(queue, acts) {
  show($("#progress"), Boolean(queue));
  if (!queue) return;
  const counts = queue.counts();
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const settled = [...FINAL].reduce((sum, state) => sum + (counts[state] || 0), 0);
  const missing = queue.rows.filter(isMissing);
  $("#progress-bar").value = settled;
  $("#progress-bar").max = Math.max(1, total);
  $("#progress-words").textContent = words({ total, settled, missing: missing.length, speed: measure(settled) });
  $("#progress-chips").replaceChildren(...ORDER.filter((state) => counts[state]).map((state) => chip(queue, state, counts[state])));
  $("#open-upload").href = `/u/${queue.uid}/`;
  const side = sideFileLine(queue.record.sideFiles);
  show($("#side-files"), Boolean(side));
  $("#side-files").textContent = side;
  drawTrouble(queue, missing, acts);
  drawControls(queue);
}

function drawTrouble(queue, missing, acts) {
  // Drawn anew only when it says something else: a button must not vanish under a click.
  const key = JSON.stringify([queue.uid, queue.trouble, missing.length, queue.isRunning]);
  if (key === troubleShown) return;
  troubleShown = key;
  const box = $("#trouble");
  const parts = [];
  if (queue.trouble) parts.push(h("p", { text: queue.trouble }));
  if (missing.length) parts.push(...askAgain(queue, missing, acts));
  show(box, parts.length > 0);
  box.className = missing.length ? "note warn" : "note";
  box.replaceChildren(...parts);
}

function askAgain(queue, missing, { giveAgain, leaveOut }) {
  const root = missing[0].path.includes("/") ? missing[0].path.split("/")[0] : "";
  const what = root ? `the folder “${root}”` : "the same files";
  const size = bytes(missing.reduce((sum, row) => sum + row.size, 0));
  const others = queue.isRunning ? " The others go on meanwhile." : "";
  const ask = `The page was closed before all was sent. ${count(missing.length, "file is", "files are")} still missing (${size}). `
    + `Choose ${what} again, or drop it here: only what is missing is sent.${others}`;
  return [
    h("p", { text: ask }),
    h("p", {}, h("button", { type: "button", class: "btn btn-sm btn-primary", id: "again", onclick: () => giveAgain(root), text: root ? `Choose “${root}” again` : "Choose the files again" }), " ",
      h("button", { type: "button", class: "btn btn-sm btn-quiet", onclick: leaveOut, text: "Leave them out" })),
  ];
}

function drawControls(queue) {
  const button = $("#pause");
  show(button, queue.isRunning);
  button.textContent = queue.isPaused ? "Go on" : "Pause";
  button.setAttribute("aria-pressed", String(queue.isPaused));
}
