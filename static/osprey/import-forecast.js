// What would come in, drawn before anything is written; with the meaning of a table's columns to be put right.
import { h, s } from "./dom.js";
import { bytes, count, duration, number } from "./words.js";

function figure(value, words, bad = false) {
  return h("div", { class: `figure${bad ? " is-bad" : ""}` }, h("b", { text: value }), h("span", { text: words }));
}

function strip(share) {
  return h("span", { class: "strip" }, s("svg", { viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { width: Math.max(0.5, share * 100), height: 3 })));
}

function labelBars(labels, fresh) {
  const rows = Object.entries(labels);
  const most = Math.max(1, ...rows.map(([, n]) => n));
  const isNew = new Set(fresh);
  return h("ul", { class: "label-bars", "aria-label": "Labels" }, rows.slice(0, 400).map(([name, n]) => h(
    "li", {}, h("span", { class: "name", title: name }, name, isNew.has(name) ? [" ", h("span", { class: "tag", text: "new" })] : null), h("b", { text: number(n) }), strip(n / most),
  )));
}

/** A select for each column; `changed` gets {column: meaning} of those that are read. */
export function mappingTable(columns, page, changed) {
  const chosen = { ...columns.suggested };
  const meanings = [["", "not read"], ...Object.entries(page.meanings), ...page.flags.map((flag) => [`flag:${flag}`, `whether it is ${flag}`])];
  const rows = columns.header.map((column, at) => {
    const own = [`field:${column}`, "a field of the project"];
    const known = chosen[column] && !meanings.some(([key]) => key === chosen[column]) ? [[chosen[column], chosen[column]]] : [];
    const select = h("select", { class: "form-select form-select-sm", "aria-label": `${column} means`, onchange: () => {
      if (select.value) chosen[column] = select.value;
      else delete chosen[column];
      changed({ ...chosen });
    } }, [...meanings, ...known, own].map(([key, words]) => h("option", { value: key, selected: (chosen[column] || "") === key, text: key ? `${key}: ${words}` : words })));
    const sample = columns.sample.map((row) => row[at]).filter(Boolean).slice(0, 3).join(" · ");
    return h("tr", {}, h("th", { scope: "row", text: column }), h("td", { class: "sample", text: sample }), h("td", {}, select));
  });
  return h("div", { class: "scroll-x" }, h("table", { class: "table mapping" }, h("thead", {}, h("tr", {}, ["Column", "For example", "Means"].map((text) => h("th", { scope: "col", text })))), h("tbody", {}, rows)));
}

function figures(found) {
  const there = found.files - found.missing;
  return h("div", { class: "figures" },
    figure(`${found.is_whole ? "" : "over "}${number(found.files)}`, found.files === 1 ? "picture" : "pictures"),
    figure(bytes(found.bytes), "of files"),
    found.labelled ? figure(number(found.labelled), "with a label") : null,
    found.individuals ? figure(number(found.individuals), "individuals") : null,
    found.detections ? figure(number(found.detections), "boxes of a machine") : null,
    found.missing ? figure(number(found.missing), there ? "not beside it" : "to be found here", there > 0) : null,
    figure(bytes(found.space_needed), "of space needed", !found.fits),
    figure(duration(found.seconds), "by this site's pace"),
  );
}

const ORDER = ["train", "validation", "test"];

function parts(found) {
  const place = ([name]) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const rows = Object.entries(found.parts || {}).sort((a, b) => place(a) - place(b));
  return rows.length ? h("p", {}, "Parts: ", rows.map(([name, n], at) => [at ? ", " : "", h("b", { text: name }), ` ${number(n)}`])) : null;
}

function warnings(found) {
  const lines = [];
  if (!found.fits) lines.push(`There are ${bytes(found.space_free)} free on the site's disk, and ${bytes(found.space_needed)} are needed. Make room first, or leave originals where they are.`);
  for (const pair of (found.synonyms || []).slice(0, 12)) lines.push(`“${pair.first}” and “${pair.second}” may be one label (${pair.how}). Both come in as they are; you can merge them afterwards.`);
  for (const one of found.notices || []) lines.push(one.text);
  if (!found.is_whole) lines.push("The look ended after ten seconds; there is more.");
  return lines.map((text) => h("div", { class: "notice is-warn" }, h("p", { text })));
}

function missing(found) {
  if (!found.missing) return null;
  const words = `${count(found.missing, "picture is", "pictures are")} named but not beside it. Those that this project has by the same path are used; the others will be listed as missing.`;
  return h("details", { class: "fold" }, h("summary", { text: words }), h("ul", { class: "missing-list" }, found.missing_files.map((text) => h("li", { text }))));
}

/** What the folders of pictures mean, where their names alone do not show it. */
function foldersField(found, page, changed) {
  const chosen = found.options?.folders || "";
  const select = h("select", { class: "form-select form-select-sm", id: "folders-mean", onchange: () => changed(select.value) },
    Object.entries(page.layouts).map(([key, words]) => h("option", { value: key, selected: key === chosen, text: words })));
  return h("div", { class: "field short" }, h("label", { for: "folders-mean", text: "The folders are" }), select);
}

/** Fill `box`. `again(mapping, options)` looks once more, `start(mapping, options)` imports. */
export function drawForecast(box, found, page, { again, start, startWords = "Import" }) {
  const wasOpen = !box.hidden && Boolean(box.querySelector(".is-mapping[open]")); // whoever maps columns is not done after the first
  let mapping = found.columns ? { ...(found.mapping ?? found.columns.suggested) } : {};
  const options = found.options ?? {};
  const isReady = !found.needs_mapping && found.files > 0;
  const button = h("button", { type: "button", class: "btn btn-primary", disabled: !isReady, onclick: () => start(mapping, options), text: isReady ? `${startWords} ${count(found.files, "picture")}` : startWords });
  const changed = (next) => { mapping = next; again(next, options); };
  box.replaceChildren(...[
    h("div", { class: "forecast-head" }, h("h3", { text: found.machine ? "Results of a machine: predictions, never labels" : "What would come in" }),
      h("p", { class: "hint", text: `Read as ${page.formats[found.format] || found.format}${found.machine ? `, by ${[found.machine.detector, found.machine.classifier].filter(Boolean).join(" + ")}` : ""}.${found.licence ? ` It says of its licence: ${found.licence}.` : ""}` })),
    found.needs_mapping ? h("p", { class: "note warn", text: found.reason }) : figures(found),
    found.columns ? h("details", { class: "fold is-mapping", open: found.needs_mapping || wasOpen }, h("summary", { text: "What its columns mean" }), mappingTable({ ...found.columns, suggested: mapping }, page, changed)) : null,
    found.format === "imagefolder" ? foldersField(found, page, (folders) => again(mapping, folders ? { folders } : {})) : null,
    found.needs_mapping ? null : parts(found),
    found.labels && Object.keys(found.labels).length && !found.machine ? labelBars(found.labels, found.new_labels) : null,
    found.needs_mapping ? null : missing(found),
    ...(found.needs_mapping ? [] : warnings(found)),
    h("div", { class: "bar-line import-acts" }, button),
  ].filter(Boolean));
  box.hidden = false;
}
