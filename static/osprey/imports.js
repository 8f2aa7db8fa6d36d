// The Import page: where the data is, a look at what would come in, then the import itself.
import { Problem, get, insist, patch, pause, post, sendBytes } from "./api.js";
import { $, $$, data, show, toast } from "./dom.js";
import { fromFiles } from "./gather.js";
import { drawForecast } from "./import-forecast.js";
import { bytes, number } from "./words.js";

const page = data("imports");
const base = `/projects/${page.project}`;
const AT_ONCE = 4;
const LOOK_MILLISECONDS = 700;
const form = $("#new-import");

function where() {
  return new FormData(form).get("where");
}

function said() {
  return { format: $("#format").value, source: $("#source").value.trim(), licence: $("#licence").value.trim() };
}

function fault(text) {
  $("#fault").textContent = text || "";
  show($("#fault"), Boolean(text));
}

function choose() {
  for (const part of $$("[data-where]")) show(part, part.dataset.where === where());
  fault("");
  $("#forecast").hidden = true;
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

function asked(mapping) {
  return { path: $("#path").value.trim(), in_place: $("#in-place").checked, ...said(), mapping };
}

async function lookAtPath(mapping = {}) {
  if (!$("#path").value.trim()) return fault("Name a folder or file of the server.");
  if ($("#watch").checked) {
    const row = await post(`${base}/imports`, { ...asked({}), watch: true });
    return open(row);
  }
  const found = await post(`${base}/imports/forecast`, asked(mapping));
  if (Object.keys(mapping).length) found.mapping = mapping;
  return drawForecast($("#forecast"), found, page, {
    again: (next) => attempt(() => lookAtPath(next)),
    start: (next) => attempt(async () => open(await post(`${base}/imports`, asked(next)))),
  });
}

// ---- a file that is sent ----

async function send(file) {
  const query = { name: file.name, ...said(), ask: "1" };
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

function drawSent(row, found) {
  drawForecast($("#forecast"), found, page, {
    again: (mapping) => attempt(async () => {
      const next = await post(`/imports/${row.id}/forecast`, { mapping, format: row.format });
      drawSent(row, { ...next, mapping });
    }),
    start: (mapping) => attempt(async () => {
      const chosen = found.columns ? { mapping } : {};
      open(await post(`/imports/${row.id}/resume`, { ...chosen, source: said().source, licence: said().licence }));
    }),
  });
}

async function lookAtFile(file, what) {
  if (!file) return fault(`Choose ${what} first.`);
  const row = await lookAtSent(await send(file));
  progress(0, null);
  return drawSent(row, row.forecast);
}

// ---- the pictures of a table, from a folder of this computer ----

async function sendPictures(files) {
  const entries = fromFiles(files).filter(({ path }) => /\.(jpe?g|png|webp|tiff?|avif|mpo)$/i.test(path));
  if (!entries.length) return;
  const manifest = entries.map(({ path, size, mtime }) => ({ path, size, modified_at_ms: mtime }));
  const upload = await post("/uploads", { project: page.project, name: entries[0].path.split("/")[0], manifest: manifest.slice(0, 10_000) });
  for (let from = 10_000; from < manifest.length; from += 10_000) await post(`/uploads/${upload.id}/manifest`, { manifest: manifest.slice(from, from + 10_000) });
  let next = 0;
  let done = 0;
  const line = async () => {
    while (next < entries.length) {
      const { path, file } = entries[next++];
      try {
        await insist(() => sendBytes(`/uploads/${upload.id}/file`, { path }, file));
      } catch (problem) {
        if (!(problem instanceof Problem) || problem.isPassing) throw problem; // a bad picture is an item with its reason
      }
      done += 1;
      progress(done / entries.length, `Sending pictures: ${number(done)} of ${number(entries.length)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  await patch(`/uploads/${upload.id}`, { state: "closed" });
}

async function lookAtTable() {
  const file = $("#table").files[0];
  if (!file) return fault("Choose a table or a JSON file first.");
  await sendPictures($("#pictures").files);
  return lookAtFile(file, "a table or a JSON file");
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
  form.addEventListener("change", (event) => { if (event.target.name === "where") choose(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const looks = { zip: () => lookAtFile($("#zip").files[0], "a zip"), table: lookAtTable, path: () => lookAtPath() };
    attempt(looks[where()]);
  });
  choose();
}
$("#find-again")?.addEventListener("submit", (event) => {
  event.preventDefault();
  originals($("#find-under").value.trim()).catch((problem) => toast(problem.message, { bad: true }));
});
$("#check-all")?.addEventListener("click", () => originals("").catch((problem) => toast(problem.message, { bad: true })));
