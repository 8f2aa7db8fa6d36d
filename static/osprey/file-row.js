// One file as a line of the list: a mark, its name, its state or label in words, how sure.
import { h } from "./dom.js";
import { FINAL, percent, stateWord } from "./words.js";

function rowWords(row) {
  if (row.state === "sending") return `sending ${Math.round((row.progress || 0) * 100)} %`;
  if (row.code === "archive") return row.state === "done" ? "unpacked" : "unpacking";
  if (row.state === "queued" && !row.file && !row.isStored) return "choose it again";
  if ((row.state === "done" || row.state === "duplicate") && row.label) return `${row.label}`;
  return stateWord(row.state);
}

/** Fill one line of the list of files. */
export function paintRow(element, row) {
  const parts = (element.parts ??= {
    dot: h("span", { class: "dot" }), name: h("span", { class: "row-name" }), words: h("span", { class: "row-words" }), sure: h("span", { class: "row-sure" }),
  });
  if (!element.firstChild) element.append(parts.dot, parts.name, parts.words, parts.sure);
  parts.dot.className = `dot is-${row.state}`;
  parts.name.textContent = row.path;
  parts.name.title = row.path;
  parts.words.textContent = row.fixed ? `${row.fixed} (you)` : rowWords(row);
  parts.words.className = `row-words is-${row.state}${row.label ? " has-label" : ""}`;
  parts.words.title = row.reason || "";
  parts.sure.textContent = row.label && FINAL.has(row.state) ? (row.state === "duplicate" ? "already here" : percent(row.score)) : "";
}
