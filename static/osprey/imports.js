// The Import page: where the data is, a look at what would come in, then the import itself.
import { Problem, get, insist, pause, post, sendBytes } from "./api.js";
import { $, $$, data, show, toast } from "./dom.js";
import { fromFiles } from "./gather.js";
import { drawForecast } from "./import-forecast.js";
import { pack } from "./pack.js";
import { partSideFiles } from "./side-files.js";
import { bytes } from "./words.js";

const page = data("imports");
const base = `/projects/${page.project}`;
const LOOK_MILLISECONDS = 700;
const form = $("#new-import");
let sent = null; // the import that was sent, looked at and not begun

function where() {
  return new FormData(form).get("where");
}

function said() {
  return { format: $("#format").value, source: $("#source").value.trim(), licence: $("#licence").value.trim(), trusted: $("#trusted").checked };
}

function fault(text) {
  $("#fault").textContent = text || "";
  show($("#fault"), Boolean(text));
}

function forget() {
  sent = null;
  $("#forecast").hidden = true;
}

function choose() {
  for (const part of $$("[data-where]")) show(part, part.dataset.where === where());
  fault("");
  forget();
}

function busy(yes) {
  $("#look").disabled = yes;
  $("#look").textContent = yes ? "Looking…" : "Look first";
}

function progress(share, words) {
  show($("#sending"), words !== null);
  if (words === null) return;
  $("#sending-bar").value = share;
  $("#sending-words").textContent = words;
}

function open(row) {
  window.location.assign(`/p/${page.project}/import/${row.id}/`);
}

// ---- a folder on the server ----

function asked(mapping, options) {
  return { path: $("#path").value.trim(), in_place: $("#in-place").checked, ...said(), mapping, options };
}

async function lookAtPath(mapping = {}, options = {}) {
  if (!$("#path").value.trim()) return fault("Name a folder or file of the server.");
  if ($("#watch").checked) {
    const row = await post(`${base}/imports`, { ...asked({}, {}), watch: true });
    return open(row);
  }
  const { path, in_place, format } = asked(mapping, options);
  const found = await post(`${base}/imports/forecast`, { path, in_place, format, mapping, options });
  if (Object.keys(mapping).length) found.mapping = mapping;
  return drawForecast($("#forecast"), { ...found, options }, page, {
    again: (...next) => attempt(() => lookAtPath(...next)),
    start: (...next) => attempt(async () => open(await post(`${base}/imports`, asked(...next)))),
  });
}

// ---- a file that is sent ----

async function send(file, kind) {
  const query = { name: file.name, ...said(), format: said().format || kind, ask: "1" };
  progress(0, `Sending ${file.name}, ${bytes(file.size)}`);
  const onProgress = (sent) => progress(file.size ? sent / file.size : 1, `Sending ${file.name}: ${bytes(sent)} of ${bytes(file.size)}`);
  const row = await insist(() => sendBytes(`${base}/imports/file`, query, file, { method: "POST", onProgress }), { tries: 4 });
  progress(1, "Looking at what came…");
  return row;
}

async function lookAtSent(row) {
  for (let known = row; ; known = await insist(() => get(`/imports/${row.id}`))) {
    if (known.asks) return known;
    if (known.state === "failed") throw new Problem(422, { detail: known.reason }, null);
    await pause(LOOK_MILLISECONDS);
  }
}

async function lookAgain(row, mapping, options = {}) {
  const next = await post(`/imports/${row.id}/forecast`, { mapping, options, format: said().format || row.format });
  drawSent(row, { ...next, options, ...(Object.keys(mapping).length ? { mapping } : {}) });
}

function drawSent(row, found) {
  sent = row;
  drawForecast($("#forecast"), found, page, {
    again: (...next) => attempt(() => lookAgain(row, ...next)),
    start: (mapping, options) => attempt(async () => {
      const chosen = { format: found.format, options, ...(found.columns ? { mapping } : {}) };
      const { source, licence, trusted } = said();
      open(await post(`/imports/${row.id}/resume`, { ...chosen, source, licence, trusted }));
    }),
  });
}

async function lookAtFile(file, what, kind = "") {
  if (!file) return fault(`Choose ${what} first.`);
  forget();
  const row = await lookAtSent(await send(file, kind));
  progress(0, null);
  return drawSent(row, row.forecast);
}

// ---- a folder of this computer: one zip is made of it while it is sent ----

function ending(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.lastIndexOf(".") > 0 ? name.slice(name.lastIndexOf(".")).toLowerCase() : "";
}

/** What a data set is made of, side files of cameras and whatever else lies there left out. */
function wantedOf(files) {
  return partSideFiles(fromFiles(files)).pictures.filter(({ path }) => page.endings.includes(ending(path)));
}

async function packed(entries, name) {
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > page.mostBytes) {
    throw new Problem(413, { detail: `${bytes(total)} are chosen, and this site takes ${bytes(page.mostBytes)} at a time. Choose its folders one after the other, or ask an admin to import it on the server.` }, null);
  }
  progress(0, "Reading…");
  try {
    const zip = await pack(entries, (read) => progress(total ? read / total : 1, `Reading: ${bytes(read)} of ${bytes(total)}`));
    return new File([zip], `${name}.zip`);
  } catch (problem) {
    throw new Problem(400, { detail: `A file could not be read any more (${problem.message}). Is its disk still there? Choose the folder again.` }, null);
  }
}

async function lookAtFolder() {
  const { files } = $("#folder");
  if (!files.length) return fault("Choose a folder first.");
  const entries = wantedOf(files);
  if (!entries.length) return fault("There are neither pictures nor tables in this folder.");
  return lookAtFile(await packed(entries, entries[0].path.split("/")[0] || "folder"), "a folder");
}

async function lookAtTable() {
  const file = $("#table").files[0];
  if (!file) return fault("Choose a table or a JSON file first.");
  const pictures = wantedOf($("#pictures").files).filter(({ path }) => page.pictureEndings.includes(ending(path)));
  const kind = ending(file.name) === ".json" ? "" : "csv";
  if (!pictures.length) return lookAtFile(file, "a table or a JSON file", kind);
  const table = { path: file.name, size: file.size, file };
  return lookAtFile(await packed([table, ...pictures], file.name.replace(/\.[^.]*$/, "")), "a table or a JSON file", kind);
}

// ---- originals in place ----

async function originals(under) {
  await post(`${base}/originals`, { under });
  toast(under ? "Looking there. Reload in a while to see how many were found." : "Checking. Reload in a while to see.");
}

async function attempt(act) {
  fault("");
  busy(true);
  try {
    await act();
  } catch (problem) {
    fault(problem.message);
  } finally {
    progress(0, null);
    busy(false);
  }
}

if (form) {
  form.addEventListener("change", ({ target }) => {
    if (target.name === "where") choose();
    if (target.type === "file") forget();
    if (target.id === "format" && sent) attempt(() => lookAgain(sent, {}));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const looks = { folder: lookAtFolder, zip: () => lookAtFile($("#zip").files[0], "a zip"), table: lookAtTable, path: () => lookAtPath() };
    attempt(looks[where()]);
  });
  choose();
}
$("#find-again")?.addEventListener("submit", (event) => {
  event.preventDefault();
  originals($("#find-under").value.trim()).catch((problem) => toast(problem.message, { bad: true }));
});
$("#check-all")?.addEventListener("click", () => originals("").catch((problem) => toast(problem.message, { bad: true })));
