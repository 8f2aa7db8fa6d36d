// The project's own fields beside the picture, each with a key.
import { h } from "./dom.js";

/** A field keeps its own key where the page does not need it, else takes the first free letter of its name. */
export function withShortcuts(fields, reserved) {
  const taken = new Set(reserved);
  return fields.map((field) => {
    const letters = [field.shortcut, ...field.name.toLowerCase(), ..."abcdefghijklmnopqrstuvwxyz"];
    const shortcut = letters.find((one) => /^[a-z]$/.test(one) && !taken.has(one)) ?? "";
    taken.add(shortcut);
    return { ...field, shortcut };
  });
}

export class Fields {
  constructor(box, fields, { onChange }) {
    this.box = box;
    this.fields = fields;
    this.onChange = onChange;
    this.values = {};
    this.controls = new Map(fields.map((field) => [field.key, this.control(field)]));
    box.replaceChildren(...[...this.controls.values()].map(({ element }) => element));
  }

  set(key, value) {
    this.values[key] = value;
    this.onChange(key, value);
  }

  show(values) {
    this.values = { ...values };
    for (const field of this.fields) this.controls.get(field.key).paint(values[field.key] ?? null);
  }

  /** What a field's key does: the next choice, the other side of a flag, or the caret into its input. */
  press(field) {
    const now = this.values[field.key] ?? null;
    if (field.kind === "choice") {
      const at = field.choices.indexOf(now);
      return this.set(field.key, at + 1 < field.choices.length ? field.choices[at + 1] : null);
    }
    if (field.kind === "flag") return this.set(field.key, now === true ? null : true);
    const { input } = this.controls.get(field.key);
    input.focus();
    return input.select();
  }

  control(field) {
    if (field.kind === "choice" || field.kind === "flag") return this.buttons(field);
    return this.input(field);
  }

  head(field, id) {
    return h("span", { class: "field-name", id }, field.name, field.shortcut && h("kbd", { text: field.shortcut.toUpperCase() }));
  }

  buttons(field) {
    const choices = field.kind === "flag" ? [["yes", true], ["no", false]] : field.choices.map((one) => [String(one), one]);
    const id = `field-${field.key}`;
    const buttons = choices.map(([words, value]) => h("button", {
      type: "button", class: "chip", text: words, onclick: () => this.set(field.key, this.values[field.key] === value ? null : value),
    }));
    const element = h("div", { class: "review-field", role: "group", "aria-labelledby": id }, this.head(field, id), h("div", { class: "chips" }, buttons));
    const paint = (value) => buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(value === choices[i][1])));
    return { element, paint };
  }

  input(field) {
    const isNumber = field.kind === "number";
    const id = `field-${field.key}`;
    const input = h("input", { class: "form-control form-control-sm", id, inputmode: isNumber ? "decimal" : null, maxlength: isNumber ? 20 : 2000, autocomplete: "off" });
    input.addEventListener("input", () => {
      const text = input.value.trim();
      const number = Number(text.replace(",", "."));
      const isFine = !text || !isNumber || Number.isFinite(number);
      input.setAttribute("aria-invalid", String(!isFine));
      if (isFine) this.set(field.key, text ? (isNumber ? number : text) : null);
    });
    const element = h("div", { class: "review-field" }, h("label", { for: id, class: "field-name" }, field.name, field.shortcut && h("kbd", { text: field.shortcut.toUpperCase() })), input);
    const paint = (value) => {
      if (document.activeElement !== input) input.value = value ?? "";
    };
    return { element, paint, input };
  }
}
