// One answer: the picture with its boxes, the labels with bars, how sure in words, and the way to put it right.
import { bar, boxLayer } from "./boxes.js";
import { $, h } from "./dom.js";
import { fixer } from "./fix.js";
import { confidence, count, percent } from "./words.js";

function nameOf(part) {
  if (part === null || part === undefined) return "";
  return typeof part === "object" ? part.name : part;
}

function headline(answer) {
  return nameOf(answer.label) || (answer.regions.length ? "No label" : "Nothing found");
}

function countsLine(answer) {
  const parts = Object.entries(answer.counts ?? {});
  const total = parts.reduce((sum, [, n]) => sum + n, 0);
  if (total < 2) return null;
  return h("p", { class: "counts-line", text: `${count(total, "box", "boxes")}: ${parts.map(([name, n]) => `${n} × ${name}`).join(", ")}` });
}

function damagedNote(image) {
  if (!image.damaged) return null;
  const part = image.damaged_share ?? image.damaged;
  const share = typeof part === "number" ? `${Math.max(1, Math.round(part * 100))} % of this picture` : "Part of this picture";
  return h("p", { class: "note warn", text: `Damaged: ${share} could not be read; the answer rests on what is left. It stays out of training unless you ask for it.` });
}

function bars(region) {
  return h("ol", { class: "scores" }, (region.scores ?? []).slice(0, 5).map((one, i) => h(
    "li", { class: i === 0 ? "first" : "" },
    h("span", { class: "score-name", text: nameOf(one.label) }),
    bar(one.score, i === 0 ? "strong" : ""),
    h("span", { class: "score-number", text: percent(one.score) }),
  )));
}

function found(region) {
  if (!region.detection) return null;
  return h("p", { class: "hint", text: `Found as ${nameOf(region.detection.label)} (${percent(region.detection.score)})` });
}

function regionTabs(answer, chosen, choose) {
  if (answer.regions.length < 2) return null;
  return h("div", { class: "region-tabs", role: "group", "aria-label": "Boxes" }, answer.regions.map((region, i) => h(
    "button",
    { type: "button", class: "chip", "aria-pressed": String(i === chosen), onclick: () => choose(i), text: `${i + 1} ${nameOf(region.label)}` },
  )));
}

/** The large thumbnail is made on first view; until then a small one stands in, so ask again a little later. */
function sharpen(image, address, longest, turn = 1) {
  if (!address.startsWith("/api/") || turn > 6) return;
  image.addEventListener("load", () => {
    const isSmall = Math.max(image.naturalWidth, image.naturalHeight) < Math.min(1000, longest * 0.95);
    if (!isSmall) return;
    setTimeout(() => {
      sharpen(image, address, longest, turn + 1);
      image.src = `${address}?turn=${turn}`;
    }, 700 * turn);
  }, { once: true });
}

/** What a person said comes first, the machine's answer below it as what the machine said. */
function titles(answer, said) {
  if (!said) return [h("h2", { class: `answer-label is-${answer.kind ?? "normal"}`, text: headline(answer) })];
  return [
    h("h2", { class: "answer-label", text: said.words }),
    h("p", { class: "how-sure" }, "said by ", h("strong", { text: said.who })),
    said.others?.length > 0 && h("p", { class: "note warn", text: `Others disagree. ${said.others.join("; ")}` }),
    h("h3", { class: "machine-said", text: `The machine said: ${headline(answer)}` }),
  ];
}

/** Draw `answer` into `box`. `picture` is the address of its image; `rights` say what this person may do. */
export function showAnswer(box, answer, { picture, project, rights, verdict: said = null, link = true, onFixed = null, signIn = "" }) {
  const regions = answer.regions;
  let told = said;
  let chosen = Math.max(0, regions.findIndex((region) => region.score === answer.score && nameOf(region.label) === nameOf(answer.label)));
  const verdict = h("div", { class: "verdict" });
  const frame = h("div", { class: "picture" });
  const { width, height } = answer.image;
  const image = h("img", { src: picture, width, height, alt: `${headline(answer)}: ${answer.image.path ?? "the picture"}`, decoding: "async" });
  sharpen(image, picture, Math.max(width, height));

  function choose(index) {
    chosen = index;
    draw();
  }

  function draw() {
    frame.replaceChildren(image, boxLayer(regions, { width: width || 1, height: height || 1, chosen, onChoose: choose }));
    const region = regions[chosen] ?? { scores: [] };
    verdict.replaceChildren(...[
      ...titles(answer, told),
      h("p", { class: "how-sure" }, h("strong", { text: confidence(answer.score) }), ` ${percent(answer.score)}`),
      regionTabs(answer, chosen, choose), countsLine(answer), found(region), bars(region), damagedNote(answer.image), fix,
      h("p", { class: "hint" }, answer.version?.name ?? "No version", link && " · ", link && h("a", { href: `/i/${answer.image.id}/`, text: "details and history" })),
    ].filter(Boolean));
  }

  function fixLine() {
    if (!rights.review) {
      return signIn ? h("p", { class: "hint" }, "Wrong? ", h("a", { href: signIn, text: "Sign in" }), " to put it right.") : null;
    }
    const place = h("div", { class: "fix-place" });
    const close = () => place.replaceChildren(button);
    const button = h("button", { type: "button", class: "btn btn-sm btn-outline-primary", "data-fix": "", onclick: () => open() },
      "Wrong? Fix it", h("kbd", { text: "F" }));
    const saved = (change) => {
      if (onFixed) onFixed(change);
      told = change ? { words: change.words, who: "you" } : said;
      draw();
      if (!change) return close();
      const undo = h("button", { type: "button", class: "btn btn-sm btn-link", text: "Undo", onclick: change.undo });
      return place.replaceChildren(h("p", { class: "note good" }, "You said: ", h("strong", { text: change.words }), " ", undo));
    };
    const open = () => place.replaceChildren(fixer({ project, answer, onSaved: saved, onClose: () => { close(); button.focus(); } }));
    close();
    return place;
  }

  const fix = fixLine();
  draw();
  box.replaceChildren(frame, verdict);
}

export function pressFix(root = document) {
  const button = $("[data-fix]", root);
  button?.click();
  return Boolean(button);
}
