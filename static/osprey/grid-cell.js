// One image in the grid: its picture, what it shows, how sure that is and who said it.
import { h } from "./dom.js";
import { baseName, confidence, percent } from "./words.js";

const WHO = {
  machine: ["model", "said by the model"],
  human: ["person", "said by a person"],
  imported: ["import", "came with an import"],
  rule: ["rule", "said by a rule"],
  none: ["", "nobody has said anything yet"],
};
const MARKS = {
  conflict: ["≠", "reviewers disagree"],
  "cannot-tell": ["?", "cannot tell"],
  bad: ["✕", "bad image"],
  reviewed: ["✓", "reviewed"],
};

function labelWords(item) {
  if (item.label) return item.label;
  if (item.review_state === "bad") return "bad image";
  if (item.review_state === "cannot-tell") return "cannot tell";
  if (item.review_state === "reviewed") return "nothing there";
  return item.failure ? "failed" : "no label";
}

function sureWords(item) {
  const who = WHO[item.source]?.[0] ?? item.source;
  if (item.source === "machine" && item.score !== null) return `${confidence(item.score)}, ${percent(item.score)}`;
  const other = item.machine_label && item.machine_label !== item.label && item.source !== "machine" ? `, model: ${item.machine_label}` : "";
  return `${who}${other}`;
}

/** Whole words for a screen reader. */
function aloud(item) {
  const parts = [labelWords(item), item.source === "machine" && item.score !== null ? confidence(item.score) : "", WHO[item.source]?.[1], MARKS[item.review_state]?.[1]];
  return [...parts, item.sequence && "in a sequence", baseName(item.path || "")].filter(Boolean).join(", ");
}

function content(item) {
  const mark = MARKS[item.review_state];
  const annotations = item.labels?.length > 1 ? ` +${item.labels.length - 1}` : "";
  return [
    h("span", { class: "thumb" },
      h("img", { src: `/api/v1/images/${item.id}/thumbnail/256`, alt: "", loading: "lazy", decoding: "async", draggable: "false" }),
      item.sequence && h("span", { class: "badge-sequence", title: "one frame of a sequence" }),
      mark && h("span", { class: `badge-state is-${item.review_state}`, title: mark[1], text: mark[0] }),
    ),
    h("span", { class: `cell-label is-${item.source}` }, `${labelWords(item)}${annotations}`),
    h("span", { class: "cell-sure", text: sureWords(item) }),
  ];
}

/** Fill a cell; what did not change is left alone, so that pictures do not blink. */
export function paintCell(cell, item, { isChosen, isCurrent }) {
  const key = [item.id, item.label, item.source, item.review_state, item.score, item.isNew].join("|");
  if (cell.dataset.key !== key) {
    cell.dataset.key = key;
    cell.title = item.path || "";
    cell.classList.toggle("is-new", Boolean(item.isNew));
    cell.setAttribute("aria-label", aloud(item));
    cell.replaceChildren(...content(item).flat());
  }
  cell.setAttribute("aria-selected", String(isChosen));
  cell.classList.toggle("is-current", isCurrent);
}
