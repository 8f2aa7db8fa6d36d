// Beside the picture: what the model says and why the unit is here, the labels by their keys, and what is chosen.
import { bar } from "./boxes.js";
import { $, h, show } from "./dom.js";
import { wordsOf } from "./review-draft.js";
import { unitWords } from "./review-stage.js";
import { confidence, duration, number, percent } from "./words.js";

const GUESSES = 5;
const SLOTS = 9;
/** Where no keyboard is to be expected, keys are not spoken of. */
const BY_TOUCH = matchMedia("(hover: none) and (pointer: coarse)").matches;

/** What the keys 1 to 9 stand for: the best guesses, then the pinned labels that are not among them. */
export function slotsOf(unit, pinned) {
  const guesses = (unit.blind ? [] : unit.guesses).slice(0, GUESSES).map((one) => ({ key: one.label_key, label: one.label, score: one.score }));
  const known = new Set(guesses.map((one) => one.key));
  return [...guesses, ...pinned.filter((one) => !known.has(one.key))].slice(0, SLOTS);
}

/** The sentence at the top. */
export function sentence(unit) {
  const { suggestion } = unit;
  if (unit.blind) {
    return [h("strong", { text: "No suggestion is shown" }), ": your own reading is what is wanted here. "];
  }
  if (!suggestion) return ["The model says nothing of it. "];
  const sure = suggestion.score === null ? "" : `, ${confidence(suggestion.score)} (${percent(suggestion.score)})`;
  return [`${suggestion.says ?? "The model says"} `, h("strong", { text: suggestion.label }), `${sure}${unit.images.length > 1 && suggestion.from ? `, ${suggestion.from}` : ""}. `];
}

export class Panel {
  constructor({ pinned, onLabel }) {
    this.pinned = pinned;
    this.onLabel = onLabel;
    this.slots = [];
  }

  show(unit, draft) {
    this.unit = unit;
    this.draft = draft;
    this.slots = slotsOf(unit, this.pinned);
    $("#sentence").replaceChildren(...sentence(unit), h("span", { class: "why", text: unit.why ?? "" }));
    $("#unit-words").textContent = unitWords(unit);
    const refusal = $("#refusal");
    show(refusal, Boolean(unit.refusal));
    refusal.textContent = unit.refusal ? `It came back: ${unit.refusal}` : "";
    $("#current").textContent = currentWords(unit);
    show($("#current"), Boolean(currentWords(unit)));
    this.drawSlots();
    this.paint();
  }

  drawSlots() {
    const most = Math.max(0.01, ...this.slots.map((one) => one.score ?? 0));
    $("#slots").replaceChildren(...this.slots.map((slot, i) => h("li", {}, h(
      "button",
      { type: "button", class: "slot", "data-key": slot.key, onclick: (event) => this.onLabel(slot, { shift: event.shiftKey }) },
      h("kbd", { text: i + 1 }), h("span", { class: "slot-name", text: slot.label }),
      slot.score !== undefined && h("span", { class: "slot-score", text: percent(slot.score) }),
      slot.score !== undefined && bar(slot.score / Math.max(most, 0.5), i === 0 ? "strong" : ""),
    ))));
  }

  /** What is chosen so far. */
  paint() {
    const { draft, unit } = this;
    const suggestion = unit.blind ? null : unit.suggestion;
    const chosen = $("#chosen");
    chosen.classList.toggle("is-suggested", !draft.isTouched);
    $("#chosen-words").textContent = draft.words || (suggestion ? suggestion.label : "Nothing chosen yet");
    $("#chosen-hint").textContent = hintOf(draft, suggestion);
    for (const button of document.querySelectorAll("#slots .slot")) {
      button.setAttribute("aria-pressed", String(draft.said.some((one) => one.key === button.dataset.key)));
    }
    const field = $("#count");
    if (document.activeElement !== field) field.value = draft.hand.count;
    const note = $("#note");
    if (document.activeElement !== note) note.value = draft.note;
    const accept = $("#accept");
    accept.disabled = !draft.isWhole && !suggestion;
    accept.firstChild.textContent = draft.isTouched || !suggestion ? "Save " : "Accept ";
  }

  progress({ left, today, pace }) {
    $("#left").textContent = left === null ? "…" : number(left);
    $("#today").textContent = number(today);
    const seconds = left !== null && pace ? left * pace : null;
    $("#minutes").textContent = seconds === null ? "" : left ? `about ${duration(seconds)} at your pace` : "";
  }
}

function hintOf(draft, suggestion) {
  if (draft.isAdding) return "and? The next label is added beside it.";
  const enter = BY_TOUCH ? "Accept" : "Enter";
  if (draft.isWhole) return BY_TOUCH ? "Save keeps it and goes on." : "Enter saves it and goes on.";
  if (draft.frames.size) return suggestion ? `${enter} takes the suggestion for the others.` : "Say what the others show.";
  if (suggestion) return `suggested: ${enter} takes it`;
  return BY_TOUCH ? "tap a label, Find or Empty" : "a number, / to find a label, E for empty";
}

function currentWords(unit) {
  const told = unit.images.map((one) => one.current).find(Boolean);
  if (!told || unit.blind) return "";
  const said = (told.annotations ?? told).map?.((one) => ({ label: one.label ?? one.label_key, count: one.count ?? 1 })) ?? [];
  return `Said before: ${wordsOf({ verdict: told.verdict ?? "labelled", said })}${told.by ? `, by ${told.by}` : ""}`;
}

export function announcement(unit) {
  const model = unit.blind ? "No suggestion." : unit.suggestion ? `${unit.suggestion.says ?? "The model says"} ${unit.suggestion.label}, ${confidence(unit.suggestion.score)}.` : "The model says nothing.";
  return `${unitWords(unit)}. ${model} ${unit.why ?? ""}`;
}
