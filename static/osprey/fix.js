// *Wrong? fix it*: find a label, save a review, take it back.
import { get, insist, post } from "./api.js";
import { announce, h, toast } from "./dom.js";

let serial = 0;

function searcher(project, onPick) {
  const id = `find-label-${(serial += 1)}`;
  const list = h("ul", { class: "label-options", role: "listbox", id: `${id}-list`, "aria-label": "Labels" });
  const input = h("input", {
    type: "search", id, class: "form-control form-control-sm", autocomplete: "off", role: "combobox",
    "aria-expanded": "true", "aria-controls": `${id}-list`, "aria-autocomplete": "list", placeholder: "name, other name or scientific name",
  });
  const hint = h("p", { class: "hint", "aria-live": "polite" });
  let options = [];
  let at = 0;
  let turn = 0;
  let shownFor = null;

  function mark(index) {
    at = Math.max(0, Math.min(options.length - 1, index));
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    list.children[at]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options.length ? `${id}-${at}` : "");
  }

  async function search() {
    const mine = (turn += 1);
    const text = input.value.trim();
    try {
      const answer = await get(`/projects/${project}/labels`, { search: text, limit: 12 });
      if (mine !== turn) return;
      shownFor = text;
      options = answer.results ?? answer;
      list.replaceChildren(...options.map((label, i) => h(
        "li",
        { role: "option", id: `${id}-${i}`, onclick: () => onPick(label), onmousemove: () => at !== i && mark(i) },
        h("span", { text: label.name }),
        label.scientific_name && h("i", { class: "latin", text: label.scientific_name }),
      )));
      hint.textContent = options.length ? "" : "No label of this project fits. A curator can add it on the project's page.";
      mark(0);
    } catch (problem) {
      if (mine === turn) hint.textContent = problem.message;
    }
  }

  /** Enter may come before the list has caught up with the typing; it means what was typed. */
  async function pick() {
    clearTimeout(wait);
    if (shownFor !== input.value.trim()) await search();
    if (shownFor === input.value.trim() && options[at]) onPick(options[at]);
  }

  let wait = null;
  input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(search, 120); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if (event.key === "Enter") pick();
    else return;
    event.preventDefault();
  });
  search();
  return { input, nodes: [h("label", { for: id, class: "form-label", text: "What is it?" }), input, list, hint] };
}

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const random = crypto.getRandomValues(new Uint8Array(16));
  random[6] = (random[6] & 0x0f) | 0x40;
  random[8] = (random[8] & 0x3f) | 0x80;
  const hex = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function saveReview({ image, prediction, verdict, labelKey, box, seconds }) {
  const annotations = labelKey ? [{ label: labelKey, box: box ?? null, count: 1 }] : [];
  const body = { verdict, annotations, how: "suggested", prediction, client_id: newId(), seconds };
  return insist(() => post(`/images/${image}/reviews`, body));
}

/** The editor under an answer. `onSaved(label or null, undo)` is told of every change. */
export function fixer({ project, answer, onSaved, onClose }) {
  const shownAt = performance.now();
  const image = answer.image.id;

  async function save(verdict, label) {
    const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
    // The image may have moved on since; the server keeps which answer was on the screen.
    const box = answer.regions.length === 1 ? answer.regions[0].box : null;
    try {
      const review = await saveReview({ image, prediction: answer.prediction ?? null, verdict, labelKey: label?.key, box, seconds });
      const words = { labelled: label ? label.name : "nothing there", "cannot-tell": "cannot tell", "bad-image": "bad image" }[verdict];
      const undo = () => takeBack(review);
      onSaved({ label, verdict, words, undo });
      toast(`Saved: ${words}.`, { act: undo, label: "Undo" });
      announce(`Saved: ${words}`);
    } catch (problem) {
      toast(`Not saved. ${problem.message}`, { bad: true, seconds: 15 });
    }
  }

  async function takeBack(review) {
    try {
      await insist(() => post(`/reviews/${review.uid ?? review.id}/undo`, {}));
      onSaved(null);
      toast("Taken back.");
    } catch (problem) {
      toast(`Not taken back. ${problem.message}`, { bad: true });
    }
  }

  const { input, nodes } = searcher(project, (label) => save("labelled", label));
  const other = (verdict, text) => h("button", { type: "button", class: "btn btn-sm btn-quiet", text, onclick: () => save(verdict, null) });
  const box = h("div", { class: "fixer" }, nodes, h(
    "div", { class: "fixer-others" },
    other("labelled", "Nothing there"), other("cannot-tell", "Cannot tell"), other("bad-image", "Bad image"),
    h("button", { type: "button", class: "btn btn-sm btn-link", text: "Cancel", onclick: onClose }),
  ));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") onClose();
  });
  requestAnimationFrame(() => input.focus());
  return box;
}
