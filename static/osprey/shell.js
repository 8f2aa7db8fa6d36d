// What every page has: the light and dark switch, times in the reader's zone, the keys, copying, and gentle forms.
import { $, $$, h, onKeys, toast } from "./dom.js";
import { watchPictures } from "./pictures.js";
import { keepRefusedForms } from "./refused-form.js";
import { localise } from "./times.js";

function theme() {
  const button = $("#theme");
  if (!button) return;
  const isDark = () => document.documentElement.dataset.bsTheme === "dark";
  const label = () => {
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    button.setAttribute("aria-pressed", String(isDark()));
  };
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    try {
      if (next === system) localStorage.removeItem("osprey-theme");
      else localStorage.setItem("osprey-theme", next);
    } catch (_) {
      // Without storage the choice lasts for this page.
    }
    window.ospreyPaint();
    document.documentElement.dataset.bsTheme = next;
    label();
  });
  label();
}

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "off-screen" });
  area.value = text;
  document.body.append(area);
  area.select();
  // The clipboard API needs HTTPS; on a LAN this older way is the only one.
  const ok = document.execCommand("copy");
  area.remove();
  if (!ok) throw new Error("copy");
  return null;
}

function copyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy).textContent.trim();
    try {
      await copy(text);
      toast("Copied.", { seconds: 3 });
    } catch (_) {
      toast("This browser does not let the page copy: select the text and press Ctrl-C.", { bad: true });
    }
  });
}

/** Forms that cannot be taken back ask first; a select with data-submit sends its form. */
function forms() {
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    // eslint-disable-next-line no-alert
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
}

function zoneField() {
  for (const field of $$("input[data-browser-zone]")) {
    field.placeholder = `${Intl.DateTimeFormat().resolvedOptions().timeZone} (this browser's)`;
  }
  for (const hidden of $$("input[data-fill-zone]")) hidden.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function filters() {
  for (const input of $$("input[data-filter]")) {
    const lines = () => $$(input.dataset.filter);
    input.addEventListener("input", () => {
      const text = input.value.trim().toLowerCase();
      for (const line of lines()) line.hidden = !line.dataset.text.includes(text);
    });
  }
}

/** On a phone the navigation is a closed list; a click elsewhere or Escape closes any open menu. */
function menus() {
  const closeOthers = (target) => {
    for (const menu of $$("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  };
  document.addEventListener("click", (event) => closeOthers(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of $$("details.menu[open]")) {
      menu.open = false;
      $("summary", menu).focus();
    }
  });
}

function keys() {
  const dialog = $("#keys");
  $("#show-keys")?.addEventListener("click", () => dialog?.showModal());
  onKeys({
    "?": () => (dialog ? dialog.showModal() : false),
    "/": () => {
      const field = $("[data-search]");
      field?.focus();
      return Boolean(field);
    },
  });
}

theme();
localise();
copyButtons();
forms();
keepRefusedForms();
zoneField();
filters();
menus();
keys();
watchPictures();
document.addEventListener("htmx:afterSwap", (event) => localise(event.target));
setInterval(() => localise(), 60_000);
