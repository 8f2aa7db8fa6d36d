// Small builders: elements without markup in strings, so that no name of a file can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function $(selector, root = document) {
  return root.querySelector(selector);
}

export function $$(selector, root = document) {
  return [...root.querySelectorAll(selector)];
}

export function show(element, yes) {
  if (element) element.hidden = !yes;
}

/** The value of a `json_script` block. */
export function data(id, otherwise = null) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : otherwise;
}

let waiting = null;

/** Tell a screen reader; the last of a burst wins, so that 40,000 answers are not read aloud. */
export function announce(text) {
  const region = document.getElementById("live");
  if (!region) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    region.textContent = text;
  }, 400);
}

/** A message that goes away by itself, with an optional act such as undo. */
export function toast(text, { act = null, label = "", bad = false, seconds = 8 } = {}) {
  const box = document.getElementById("toasts");
  if (!box) return;
  const close = () => item.remove();
  const item = h(
    "div",
    { class: bad ? "toast-line bad" : "toast-line", role: bad ? "alert" : "status" },
    h("span", { text }),
    act && h("button", { type: "button", class: "btn btn-sm btn-link", onclick: () => { close(); act(); }, text: label }),
    h("button", { type: "button", class: "close", "aria-label": "Dismiss", onclick: close, text: "×" }),
  );
  box.append(item);
  setTimeout(close, seconds * 1000);
}

export function onKeys(map) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (target.closest && target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    const act = map[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}
