// What was typed into a form that was refused is there again: one field is put right, not all of them typed once more.
import { $, $$ } from "./dom.js";

const KEY = "osprey-refused-form";
const NOT_KEPT = "[type=password], [type=file], [type=hidden], [type=submit]";

const fieldsOf = (form) => [...form.elements].filter((field) => field.name && !field.matches(NOT_KEPT));
const addressOf = (form) => new URL(form.action).pathname;

function valueOf(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked;
  return field.multiple ? [...field.selectedOptions].map((option) => option.value) : field.value;
}

function putBack(field, value) {
  if (typeof value === "boolean") field.checked = value;
  else if (Array.isArray(value)) for (const option of field.options) option.selected = value.includes(option.value);
  else field.value = value;
}

function keep(form) {
  const fields = fieldsOf(form).map((field) => [field.name, valueOf(field)]);
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ address: addressOf(form), fields }));
  } catch (_) {
    // Without storage a refused form comes back empty, as it does without scripts.
  }
}

function takeKept() {
  try {
    const kept = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return kept && JSON.parse(kept);
  } catch (_) {
    return null;
  }
}

function restore() {
  const kept = takeKept();
  if (!kept || !$("main > .note.bad[role=alert]")) return;
  const form = $$("form[method=post]").find((one) => addressOf(one) === kept.address);
  const fields = form ? fieldsOf(form) : [];
  if (!fields.length || fields.length !== kept.fields.length) return;
  for (const [index, [name, value]] of kept.fields.entries()) if (fields[index].name === name) putBack(fields[index], value);
  for (let fold = form.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
}

/** Called before other scripts look at their forms: they find what was typed as if it had been written there. */
export function keepRefusedForms() {
  restore();
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && event.target.method === "post") keep(event.target);
  });
}
