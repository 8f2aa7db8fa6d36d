// Beside the queues, for curators: draw a blind audit or second readings, and see how far two readers agree.
import { get, post } from "./api.js";
import { $, h, toast } from "./dom.js";
import { count, number, percent } from "./words.js";

const LABELS_SHOWN = 40;

/** A kappa in words, after Landis and Koch. */
function words(kappa) {
  if (kappa === null) return "";
  const steps = [[0.8, "almost perfect"], [0.6, "substantial"], [0.4, "moderate"], [0.2, "fair"], [0, "slight"]];
  return steps.find(([from]) => kappa > from)?.[1] ?? "no better than chance";
}

/** One in so many: 1.3 of 0.8, 12 of 0.08. */
const odds = (many) => number(many < 10 ? Math.round(many * 10) / 10 : Math.round(many));

function wire(form, path, page, onDrawn) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const asked = Object.fromEntries(new FormData(form));
    button.disabled = true;
    try {
      const drawn = await post(`/projects/${page.project}/${path}`, { ...asked, size: Number(asked.size), selection: page.selection });
      toast(`${count(drawn.images, "image")} drawn, 1 in ${odds(1 / drawn.sampling_probability)}.`);
      await onDrawn();
    } catch (problem) {
      toast(problem.message, { bad: true });
    } finally {
      button.disabled = false;
    }
  });
}

async function showAgreement(page) {
  const { pairs, agree, kappa, labels } = await get(`/projects/${page.project}/agreement`);
  if (!pairs) return $("#agreement").replaceChildren(h("p", { class: "hint", text: "No image was read twice yet." }));
  const sure = kappa === null ? "" : `, Cohen’s kappa ${kappa.toFixed(2)} (${words(kappa)})`;
  const rows = labels.slice(0, LABELS_SHOWN).map((one) => h(
    "tr", {}, h("th", { scope: "row", text: one.label }), h("td", { class: "num", text: number(one.n) }), h("td", { class: "num", text: number(one.agree) }),
    h("td", { class: "num", text: one.kappa === null ? "–" : one.kappa.toFixed(2) }),
  ));
  return $("#agreement").replaceChildren(
    h("p", {}, h("b", { text: `Two readers agree on ${percent(agree / pairs)}` }), ` of ${count(pairs, "image")}${sure}.`),
    h("div", { class: "scroll-x" }, h("table", { class: "table table-sm" }, h("thead", {}, h("tr", {}, ["Label", "Either", "Both", "Kappa"].map((text, i) => h("th", { scope: "col", class: i ? "num" : "", text })))), h("tbody", {}, rows))),
  );
}

export function offerDraws(page, onDrawn) {
  const place = $("#draws");
  if (!place) return;
  wire($("#draw-audit"), "audits", page, onDrawn);
  wire($("#draw-second"), "second-readings", page, onDrawn);
  place.addEventListener("toggle", () => place.open && showAgreement(page).catch((problem) => toast(problem.message, { bad: true })));
}
