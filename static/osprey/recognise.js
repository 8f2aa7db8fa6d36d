// The Recognise page: take files in, show how far they are, show the answers.
import { get, patch } from "./api.js";
import { pressFix, showAnswer } from "./answer.js";
import { $, announce, data, h, onKeys, show, toast } from "./dom.js";
import { follow } from "./events.js";
import { fetchAnswer, fetchVerdict } from "./fetch-answer.js";
import { paintRow } from "./file-row.js";
import { fromDrop, fromFiles, fromPaste, withUniquePaths } from "./gather.js";
import * as opening from "./opening.js";
import { drawProgress, forgetPace } from "./progress.js";
import { RowList } from "./rows.js";
import { partSideFiles, sideFileLine } from "./side-files.js";
import * as store from "./store.js";
import { isMissing } from "./supply.js";
import { FINAL, baseName, confidence, count, number, percent, stateWord } from "./words.js";

const ROW_HEIGHT = 34;
const SILENCE = 4000; // news may be lost with the broker or between two streams; then the page looks for itself
const page = data("recognise");
let project = page.project;
let queue = null;
let unfollow = null;
let shown = null;
let showTurn = 0;
const localPictures = new Map(); // row -> object URL of its own file

const list = new RowList($("#files"), { height: ROW_HEIGHT, paint: paintRow, choose: showRow });

// ---- the answer ----

function ownPicture(row) {
  if (!row.file || !/^image\/(jpeg|png|webp|avif)$/.test(row.file.type)) return null;
  if (!localPictures.has(row)) {
    if (localPictures.size > 40) forgetPictures();
    localPictures.set(row, URL.createObjectURL(row.file));
  }
  return localPictures.get(row);
}

function forgetPictures() {
  for (const address of localPictures.values()) URL.revokeObjectURL(address);
  localPictures.clear();
}

async function showRow(row) {
  shown = row;
  const turn = (showTurn += 1);
  const box = $("#answer");
  show(box, true);
  if (!row.image || !["done", "duplicate"].includes(row.state)) {
    showWaiting(box, row);
    return;
  }
  try {
    const [answer, verdict] = await Promise.all([fetchAnswer(row), fetchVerdict(row.image).catch(() => null)]);
    if (turn !== showTurn) return;
    if (!answer || !["done"].includes(answer.state ?? "done")) showWaiting(box, row, answer?.reason);
    else drawAnswer(box, row, answer, verdict);
  } catch (problem) {
    if (turn === showTurn) box.replaceChildren(h("p", { class: "note bad", text: problem.message }));
  }
}

function drawAnswer(box, row, answer, verdict) {
  showAnswer(box, { ...answer, image: { ...answer.image, path: row.path } }, {
    picture: ownPicture(row) ?? `/api/v1/images/${row.image}/thumbnail/1024`,
    project: answer.project ?? project,
    rights: page.rights[answer.project ?? project] ?? {},
    verdict,
    signIn: page.signedIn ? "" : page.signIn,
    onFixed: (change) => {
      row.fixed = change ? change.words : null;
      list.refresh([row]);
    },
  });
  if (verdict) announce(`${baseName(row.path)}: ${verdict.words}, said by ${verdict.who}`);
  else announce(`${baseName(row.path)}: ${answer.label ?? "no label"}, ${confidence(answer.score)}, ${percent(answer.score)}`);
}

function showWaiting(box, row, reason = "") {
  const address = ownPicture(row);
  const bad = row.state === "rejected" || row.state === "failed";
  box.replaceChildren(...[
    address && !bad && h("div", { class: "picture is-waiting" }, h("img", { src: address, alt: row.path })),
    h("div", { class: "verdict" },
      h("h2", { class: "answer-label", text: bad ? `Not recognised: ${stateWord(row.state)}` : `${stateWord(row.state)}…`.replace(/^./, (c) => c.toUpperCase()) }),
      h("p", { class: "file-name", text: row.path }),
      (row.reason || reason) && h("p", { class: bad ? "note bad" : "hint", text: row.reason || reason }),
      bad && row.image && h("p", {}, h("a", { href: `/i/${row.image}/`, text: "details" }))),
  ].filter(Boolean));
}

// ---- how far it is ----

function drawStrip() {
  drawProgress(queue, { giveAgain, leaveOut });
}

async function giveAgain(root) {
  if (await queue.reopen(true)) queue.goOn();
  else (root ? $("#pick-folder") : $("#pick-files")).click();
}

async function leaveOut() {
  const gone = queue.rows.filter(isMissing);
  for (const row of gone) queue.touch(row, { state: "failed", reason: "It was on the list, but its bytes were never sent." });
  if (!queue.isRunning) await queue.finish();
  drawStrip();
}

// ---- taking files in ----

function nameFor(entries) {
  const roots = [...new Set(entries.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")))].filter(Boolean);
  if (roots.length) return roots.slice(0, 3).join(", ");
  return entries.length === 1 ? entries[0].path : `${entries.length} files`;
}

async function takeIn(gathered, handles = []) {
  let everything = withUniquePaths(gathered);
  await resuming; // what this browser still owes must be known before anything counts as new
  if (queue && !queue.isFinished) {
    const { found, others } = queue.supply(everything);
    if (found) {
      queue.goOn();
      toast(`${count(found, "missing file")} found; sending goes on.`);
      everything = others;
      if (partSideFiles(everything).pictures.length === 0) return;
    }
  }
  const { pictures, sideFiles } = partSideFiles(everything);
  if (!pictures.length) {
    toast(everything.length ? `${sideFileLine(sideFiles)} There was no picture among them.` : "There was no file in what you gave.", { bad: true });
    return;
  }
  if (queue?.isRunning) {
    waitingDrops.push({ gathered: everything, handles });
    toast(`${count(pictures.length, "file")} will follow when this upload is done.`);
    return;
  }
  await begin({ everything, pictures, sideFiles, handles });
}

const waitingDrops = [];

async function begin({ everything, pictures, sideFiles, handles }) {
  $("#page").classList.add("has-files");
  try {
    const next = await opening.start({ project, name: nameFor(pictures), everything, entries: pictures, sideFiles, handles });
    watch(next);
    announce(`${count(pictures.length, "file")} taken in`);
  } catch (problem) {
    toast(problem.message, { bad: true, seconds: 20 });
  }
}

function watch(next) {
  unfollow?.();
  forgetPictures();
  queue = next;
  shown = null;
  forgetPace();
  $("#page").classList.add("has-files");
  const { uid, project: slug, name, sideFiles } = queue.record;
  sessionStorage.setItem("osprey-shown", JSON.stringify({ uid, project: slug, name, sideFiles }));
  list.current = -1;
  list.set(queue.rows);
  show($("#answer"), false);
  queue.addEventListener("change", ({ detail }) => onChange(detail));
  queue.addEventListener("status", () => { drawStrip(); nextDrop(); });
  unfollow = follow(queue.uid, ({ items }) => queue.take(items), () => lookMyself());
  drawStrip();
}

function nextDrop() {
  if (!waitingDrops.length || queue.isRunning || queue.rows.some(isMissing)) return;
  const { gathered, handles } = waitingDrops.shift();
  takeIn(gathered, handles);
}

function onChange(rows) {
  if (list.count !== queue.rows.length || list.drawn.size === 0) list.set(queue.rows);
  else list.refresh(rows);
  drawSoon();
  const first = shown ? -1 : firstToShow(rows);
  if (first >= 0) list.select(first);
  else if (shown && rows.includes(shown) && shown.painted !== shown.state) showRow(shown);
  if (shown) shown.painted = shown.state;
}

/** A good answer before any failure; a failure only where nothing else can come. */
function firstToShow(rows) {
  if (queue.rows.length === 1) return 0;
  if (!rows.some((row) => FINAL.has(row.state))) return -1;
  const good = queue.rows.findIndex((row) => row.image && (row.state === "done" || row.state === "duplicate"));
  return good < 0 && queue.rows.every((row) => FINAL.has(row.state)) ? 0 : good;
}

let drawTimer = null;

function drawSoon() {
  drawTimer ??= setTimeout(() => {
    drawTimer = null;
    drawStrip();
  }, 250);
}

/** Where no stream answers, and for what comes out of a zip: look at the files that are not settled yet. */
async function lookMyself() {
  if (!queue || queue.isLooking || (queue.isSettled && !queue.wantsList)) return;
  queue.isLooking = true;
  queue.hasUnknown = false;
  try {
    const items = queue.rows.filter((row) => row.item);
    const waiting = queue.rows.filter((row) => !FINAL.has(row.state) && (row.item || row.state === "unpacking"));
    const lowest = waiting.reduce((least, row) => Math.min(least, row.item ?? 1), Infinity); // unknown: from the first
    const from = waiting.length ? lowest - 1 : items.reduce((most, row) => Math.max(most, row.item), 0);
    await queue.reconcile({ from: from || null });
  } catch (problem) {
    console.warn("Osprey: polling failed:", problem.message);
  } finally {
    queue.isLooking = false;
  }
}

setInterval(() => {
  if (!queue) return;
  const unpacks = queue.rows.some((row) => row.state === "unpacking");
  const isSilent = Date.now() - (queue.heardAt ?? queue.startedAt) > SILENCE && queue.rows.some((row) => row.state === "received");
  if (queue.wantsList || unpacks || isSilent) lookMyself();
  if (queue.isSettled && !queue.isComplete) nameDuplicates();
}, 2000);

/** What was here before has had its answer for long, so no news of it comes: read it once, at the end. */
async function nameDuplicates() {
  const watched = queue;
  watched.isComplete = true;
  const nameless = watched.rows.filter((row) => row.state === "duplicate" && !row.label);
  if (nameless.length) await watched.reconcile().catch((problem) => console.warn("Osprey:", problem.message));
}

// ---- the page ----

function chooseProject(slug) {
  const chosen = page.projects.find((one) => one.slug === slug);
  if (!chosen) return;
  project = slug;
  history.replaceState(null, "", chosen.page);
  show($("#notice"), Boolean(chosen.notice));
  $("#notice-words").textContent = chosen.notice;
  $("#project-link").href = chosen.home;
  $("#curl").textContent = chosen.curl;
  show($("#no-version"), !chosen.answers);
}

function dropZone() {
  const zone = $("#page");
  let depth = 0;
  const isFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => { if (isFiles(event)) { depth += 1; zone.classList.add("is-over"); } });
  addEventListener("dragleave", (event) => { if (isFiles(event)) { depth -= 1; if (depth <= 0) zone.classList.remove("is-over"); } });
  addEventListener("dragover", (event) => { if (isFiles(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    depth = 0;
    zone.classList.remove("is-over");
    const { entries, handles } = await fromDrop(event.dataTransfer, (n) => { $("#gathering").textContent = `Reading the folder: ${number(n)} files…`; });
    $("#gathering").textContent = "";
    takeIn(entries, handles);
  });
}

function pickers() {
  for (const [button, input] of [["#choose-files", "#pick-files"], ["#choose-folder", "#pick-folder"], ["#choose-camera", "#pick-camera"]]) {
    $(button)?.addEventListener("click", () => $(input).click());
    $(input)?.addEventListener("change", (event) => {
      takeIn(fromFiles(event.target.files));
      event.target.value = "";
    });
  }
  addEventListener("paste", (event) => {
    const entries = fromPaste(event.clipboardData);
    if (!entries.length) return;
    event.preventDefault();
    takeIn(entries);
  });
  $("#project").addEventListener("change", (event) => chooseProject(event.target.value));
  $("#pause").addEventListener("click", togglePause);
}

function togglePause() {
  if (!queue?.isRunning) return false;
  if (queue.isPaused) queue.go();
  else queue.pause();
  return true;
}

/** After a refresh: go on with what is not sent yet, else show what this tab was looking at. */
async function resume() {
  if (await resumeSending()) return;
  const last = JSON.parse(sessionStorage.getItem("osprey-shown") || "null");
  if (!last) return;
  const found = await opening.follow(last).catch(() => null);
  if (!found || queue) return;
  useProjectOf(last);
  watch(found);
  if (found.rows.some((row) => FINAL.has(row.state))) onChange(found.rows);
}

function useProjectOf(record) {
  if (!page.projects.some((one) => one.slug === record.project)) return;
  $("#project").value = record.project;
  chooseProject(record.project);
}

async function resumeSending() {
  for (const record of await store.uploads()) {
    const left = await store.filesOf(record.uid);
    const upload = await get(`/uploads/${record.uid}`).catch((problem) => (problem.status === 404 ? null : undefined));
    if (upload === null || (upload && upload.closed_at && !left.length)) {
      await store.forget(record.uid);
      continue;
    }
    const found = await opening.resume(record);
    if (!found) continue;
    useProjectOf(record);
    if (upload?.closed_at) await patch(`/uploads/${record.uid}`, { state: "open" }).catch(() => {});
    await found.reopen(false);
    watch(found);
    announce("Going on with the upload that was interrupted");
    await found.reconcile().catch(() => {});
    list.set(found.rows);
    found.send();
    return true;
  }
  return false;
}

dropZone();
pickers();
onKeys({
  f: () => pressFix($("#answer")),
  p: togglePause,
  o: () => $("#choose-files").click(),
  ArrowDown: () => { if (!queue) return false; $("#files").focus(); list.select(list.current + 1); return true; },
  ArrowUp: () => { if (!queue) return false; $("#files").focus(); list.select(Math.max(0, list.current - 1)); return true; },
});
const resuming = resume().catch((problem) => console.warn("Osprey: not resumed:", problem.message));
