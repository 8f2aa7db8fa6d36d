// Find a label by any of its names: a combobox, and a dialog around it that a key opens.
import { $, h, toast } from "./dom.js";
import { create, search } from "./labels.js";

let serial = 0;

/** `onPick(label, {shift})`; `mayCreate` offers to add what is not there. */
export function searcher(project, onPick, { mayCreate = false, words = "What is it?" } = {}) {
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

  async function choose(option, event) {
    if (!option.isNew) return onPick(option, { shift: event.shiftKey });
    try {
      return onPick(await create(project, option.name), { shift: event.shiftKey });
    } catch (problem) {
      return toast(`Not added. ${problem.message}`, { bad: true });
    }
  }

  function drawn(label, i) {
    return h(
      "li",
      { role: "option", id: `${id}-${i}`, onclick: (event) => choose(label, event), onmousemove: () => at !== i && mark(i) },
      h("span", { text: label.isNew ? `Add “${label.name}” as a new label` : label.name }),
      label.scientific_name && h("i", { class: "latin", text: label.scientific_name }),
    );
  }

  async function look() {
    const mine = (turn += 1);
    const text = input.value.trim();
    try {
      const found = await search(project, text);
      if (mine !== turn) return;
      shownFor = text;
      const isKnown = found.some((one) => one.name.toLowerCase() === text.toLowerCase());
      options = mayCreate && text && !isKnown ? [...found, { isNew: true, name: text }] : found;
      list.replaceChildren(...options.map(drawn));
      hint.textContent = options.length ? "" : "No label of this project fits. A curator can add it on the project's page.";
      mark(0);
    } catch (problem) {
      if (mine === turn) hint.textContent = problem.message;
    }
  }

  /** Enter may come before the list has caught up with the typing; it means what was typed. */
  async function pick(event) {
    clearTimeout(wait);
    const { shiftKey } = event;
    if (shownFor !== input.value.trim()) await look();
    if (shownFor === input.value.trim() && options[at]) choose(options[at], { shiftKey });
  }

  let wait = null;
  input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(look, 120); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if (event.key === "Enter") pick(event);
    else return;
    event.preventDefault();
  });
  look();
  return { input, nodes: [h("label", { for: id, class: "form-label", text: words }), input, list, hint] };
}

/** Ask for a label in a dialog. `onPick(label, shift)` is called at once, so that a key typed right after already meets it. */
export function askLabel(project, { onPick, mayCreate = false, words = "What is it?", hint = "" }) {
  const dialog = $("#find-label");
  const { input, nodes } = searcher(project, (label, { shift }) => {
    dialog.close();
    onPick(label, shift);
  }, { mayCreate, words });
  dialog.replaceChildren(h("div", { class: "fixer" }, nodes, hint && h("p", { class: "hint", text: hint })));
  // Escape in a search field would only empty it.
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); dialog.close(); } });
  dialog.showModal();
  input.focus();
}
