// The keys of a page in one table: the handlers and the overlay that tells of them are made from the same lines.
//
// A line: { keys, say, act, group, shown, shift, repeats, scope }
//   keys     names as `nameOf` gives them; a line without any is only told of in the overlay
//   act      (event, {key, shift}) => false when it does not want the key after all
//   shift    "own": Shift and the key come here too, told by `shift`; else a key with Shift is not ours
//   repeats  whether holding the key down counts again
//   scope    "page" (default), "typing", or the id of the open dialog it belongs to
import { $, h } from "./dom.js";

const FIELDS = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable]";
const OWN_ENTER = "button, a[href], summary, label, [role=option]";

/** One name for a key on every layout: digits by their place, + and - with or without Shift, letters in lower case. */
export function nameOf({ key, code }) {
  if (key === "/" || key === "?") return key;
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(code ?? "");
  if (digit) return digit[1];
  if (key === "+" || key === "=") return "+";
  if (key === "-" || key === "_") return "-";
  return key.length === 1 ? key.toLowerCase() : key;
}

/** Which keys are meant: a field that is typed in, the open dialog, or the page. */
function scopeOf(target) {
  if (target.closest?.(FIELDS)) return "typing";
  const dialog = $("dialog[open]");
  return dialog ? dialog.id || "dialog" : "page";
}

const SHIFTED = new Set(["+", "?", "/"]); // Shift is how some layouts reach them

export class Keys {
  constructor(lines) {
    this.lines = lines;
    document.addEventListener("keydown", (event) => this.press(event));
    this.overlay();
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
    const scope = scopeOf(event.target);
    const key = nameOf(event);
    if ((key === "Enter" || key === " ") && scope !== "typing" && event.target.closest?.(OWN_ENTER)) return;
    const shift = event.shiftKey && !SHIFTED.has(key);
    for (const line of this.lines) {
      if ((line.scope ?? "page") !== scope || !line.keys?.includes(key)) continue;
      if (shift && line.shift !== "own") continue;
      if (event.repeat && !line.repeats) return event.preventDefault();
      if (line.act(event, { key, shift }) !== false) return event.preventDefault();
    }
    return undefined;
  }

  /** Fill the dialog of keys: one part for each group, in the order of the table. */
  overlay() {
    const list = $("#keys dl");
    if (!list) return;
    const told = this.lines.filter((line) => line.say);
    const ours = new Set(told.flatMap((line) => line.keys ?? []));
    for (const line of [...list.children]) if (ours.has($("kbd", line)?.textContent)) line.remove();
    const groups = Map.groupBy ? Map.groupBy(told, (line) => line.group ?? "") : grouped(told);
    list.prepend(...[...groups].flatMap(([group, lines]) => [group && h("div", { class: "keys-group" }, h("dt", { text: group })), ...lines.map(drawn)]).filter(Boolean));
    list.classList.add("keys-columns");
  }
}

function grouped(lines) {
  const groups = new Map();
  for (const line of lines) groups.set(line.group ?? "", [...(groups.get(line.group ?? "") ?? []), line]);
  return groups;
}

const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", "-": "−" };

function drawn(line) {
  const shown = line.shown ?? line.keys.map((key) => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key));
  return h("div", {}, h("dt", {}, shown.map((key) => [h("kbd", { text: key }), " "])), h("dd", { text: line.say }));
}
