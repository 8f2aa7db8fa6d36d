// What the grid shows: filters in the address, so that every number elsewhere can link here, with counts beside them.
import { bar } from "./boxes.js";
import { $, h, show } from "./dom.js";
import { number } from "./words.js";

const LABELS_SHOWN = 300;
const WORDS = { // how an active filter is called where no list of the page names its value
  label: "label", machine_label: "model says", individual: "individual", source: "said by", review_state: "review", site: "site", visit: "visit",
  sequence: "one sequence", upload: "one upload", part: "part", above: "at least", below: "under", captured_from: "from", captured_to: "until",
  version: "version", failed: "failed", damaged: "damaged", timed: "known time", finding: "found", group: "group", cluster: "near-duplicates", quality: "quality",
  snapshot: "snapshot", snapshot_part: "part", text: "name holds", order: "order",
};
const NOTHING = "-"; // the site's word for "has none"
const FACETS = { review_state: "review", label: "label", source: "source", site: "site", visit: "visit", quality: "quality", machine_label: "machine_label" };
const OPAQUE = new Set(["sequence", "upload", "snapshot", "individual"]);

export class Filters extends EventTarget {
  constructor(page) {
    super();
    this.page = page;
    this.values = this.read();
    this.facets = null;
    addEventListener("popstate", () => { this.values = this.read(); this.fields(); this.draw(); this.dispatchEvent(new Event("change")); });
    this.wire();
    this.fields();
    this.draw();
  }

  read() {
    return Object.fromEntries([...new URLSearchParams(window.location.search)].filter(([name, value]) => name in WORDS && value !== ""));
  }

  /** All but the order: what a change over "all that match" is about. */
  get chosen() {
    const { order, ...rest } = this.values;
    return rest;
  }

  set(changes, { quietly = false } = {}) {
    const next = { ...this.values, ...changes };
    for (const [name, value] of Object.entries(next)) if (value === null || value === "") delete next[name];
    if (JSON.stringify(next) === JSON.stringify(this.values)) return;
    this.values = next;
    const url = new URL(window.location);
    url.search = new URLSearchParams(next).toString();
    if (quietly) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  toggle(name, value) {
    this.set({ [name]: this.values[name] === value ? null : value });
  }

  // ---- lists with counts ----

  setFacets(facets) {
    this.facets = facets;
    this.draw();
  }

  button(name, value, words, amount, most = 0) {
    const button = h(
      "button",
      { type: "button", class: most ? "filter with-bar" : "filter", "aria-pressed": String(this.values[name] === value), "data-text": words.toLowerCase(), onclick: () => this.toggle(name, value) },
      h("span", { class: "filter-name", text: words }), amount !== null && h("b", { text: number(amount) }),
    );
    if (most) button.append(bar(amount / most));
    return button;
  }

  list(id, name, rows = [], { bars = false } = {}) {
    const box = $(`#${id}`);
    const most = bars ? Math.max(1, ...rows.map((one) => one.count)) : 0;
    box.replaceChildren(...rows.slice(0, LABELS_SHOWN).map((one) => this.button(name, one.key, one.name, one.count, most)));
    show(box.closest(".filter-part"), rows.some((one) => one.key !== NOTHING) || Boolean(this.values[name]));
  }

  draw() {
    const facets = this.facets ?? {};
    this.list("f-review", "review_state", facets.review);
    this.list("f-label", "label", facets.label, { bars: true });
    this.list("f-source", "source", facets.source);
    this.list("f-site", "site", facets.site);
    this.list("f-visit", "visit", facets.visit);
    this.list("f-quality", "quality", (facets.quality ?? []).filter((one) => one.key));
    const failures = (facets.failure ?? []).reduce((sum, one) => sum + one.count, 0);
    const trouble = [["failed", "no answer: failed", failures], ["damaged", "partly unreadable", facets.damaged ?? 0]];
    const shown = trouble.filter(([name, , amount]) => amount > 0 || this.values[name]);
    $("#f-failed").replaceChildren(...shown.map(([name, words, amount]) => this.button(name, "1", words, amount)));
    show($("#f-failed").closest(".filter-part"), shown.length > 0);
    $("#f-label-find").dispatchEvent(new Event("input"));
    this.drawChips();
  }

  // ---- what is active ----

  drawChips() {
    const active = Object.entries(this.values).filter(([name]) => name !== "order");
    $("#active").replaceChildren(...active.map(([name, value]) => h(
      "button", { type: "button", class: "chip", onclick: () => { this.set({ [name]: null }); this.fields(); }, "aria-label": `Remove the filter ${this.words(name, value)}` },
      this.words(name, value), h("span", { "aria-hidden": "true", text: " ×" }),
    )), ...(active.length > 1 ? [h("button", { type: "button", class: "btn btn-sm btn-link", text: "clear all", onclick: () => this.clear() })] : []));
  }

  words(name, value) {
    const known = this.row(name, value)?.name ?? this.page.names[name]?.[value];
    if (OPAQUE.has(name)) return known ?? WORDS[name];
    if (name === "cluster" && value === "any") return WORDS[name];
    if (name === "timed") return value === "0" ? "no time" : "with a time";
    if (name === "failed" || name === "damaged") return value === "0" ? `not ${WORDS[name]}` : WORDS[name];
    if (name === "above" || name === "below") return `${WORDS[name]} ${Math.round(Number(value) * 100)} % sure`;
    if (value === "none" || value === NOTHING) return `no ${WORDS[name]}`;
    return `${WORDS[name]}: ${known ?? value}`;
  }

  clear() {
    this.set(Object.fromEntries(Object.keys(this.values).map((name) => [name, name === "order" ? this.values.order : null])));
    this.fields();
  }

  /** How many match, where the counts know: unfiltered, or by one counted filter. */
  get total() {
    const active = Object.entries(this.chosen);
    if (!this.facets) return null;
    if (!active.length) return this.facets.all ?? null;
    const [[name, value], ...others] = active;
    return others.length || !FACETS[name] ? null : this.row(name, value)?.count ?? null;
  }

  /** The counted value of a filter, if it is counted. */
  row(name, value) {
    return this.facets?.[FACETS[name]]?.find((one) => one.key === value) ?? null;
  }

  // ---- inputs ----

  fields() {
    for (const field of document.querySelectorAll("[data-param]")) {
      const value = this.values[field.dataset.param] ?? "";
      field.value = field.dataset.percent === undefined || value === "" ? value : String(Math.round(Number(value) * 100));
    }
  }

  wire() {
    let wait = null;
    for (const field of document.querySelectorAll("[data-param]")) {
      const take = () => {
        const text = field.value.trim();
        const share = Math.max(0, Math.min(100, Number(text.replace(",", ".")))) / 100;
        const value = field.dataset.percent === undefined ? text : text === "" || Number.isNaN(share) ? null : String(share);
        this.set({ [field.dataset.param]: value }, { quietly: field.type === "search" });
      };
      field.addEventListener("change", take);
      if (field.type === "search") field.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(take, 350); });
    }
    $("#f-label-find").addEventListener("input", ({ target }) => {
      const text = target.value.trim().toLowerCase();
      for (const line of $("#f-label").children) line.hidden = !line.dataset.text.includes(text) && line.getAttribute("aria-pressed") !== "true";
    });
  }
}
