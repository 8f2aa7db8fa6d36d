// A comparison: its images without leaving the page, a drawer for one of them, and the wait until it is there.
import { get, pause } from "./api.js";
import { $, $$, announce, data, h, show, toast } from "./dom.js";
import { fixer } from "./fix.js";
import { count, number } from "./words.js";

const page = data("compare");
const UNDER_WAY = ["waiting", "leased"];

// ---- until it is there ----

function standingOf(one) {
  const { done, of } = one.progress;
  return `${of ? `${number(done)} of ${count(of, "image")}` : { waiting: "waits", done: "evaluated" }[one.state] ?? one.state}`;
}

async function watch() {
  const names = $$("#evaluations li").map((line) => line.textContent.split(":")[0]);
  let state = page.state;
  while (UNDER_WAY.includes(state)) {
    await pause(2000);
    const row = document.hidden ? null : await get(page.address).catch(() => null);
    if (!row) continue;
    state = row.state;
    $("#evaluations").replaceChildren(...row.evaluations.map((one, at) => h("li", { text: `${names[at] ?? ""}: ${standingOf(one)}` })));
    if (state === "leased") $("#waiting").textContent = "Both are evaluated; they are being compared.";
  }
  window.location.reload();
}

// ---- the images ----

/** One part of this page in the state that an address has it in; true when it is there. */
async function swap(id, address) {
  const box = $(`#${id}`);
  box.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(address, { credentials: "same-origin" });
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(id);
    if (!response.ok || !fresh) throw new Error(`It could not be fetched (status ${response.status}). Reload the page.`);
    box.replaceWith(document.adoptNode(fresh));
    announce($(`#${id} .hint`)?.textContent ?? "");
    return true;
  } catch (problem) {
    box.removeAttribute("aria-busy");
    toast(problem.message, { bad: true });
    return false;
  }
}

async function showImages(address) {
  if (!(await swap("gallery", address))) return;
  $("#gallery").scrollIntoView({ block: "start" });
  $("#gallery").focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest("a[data-gallery]");
  const card = event.target.closest("a[data-image]");
  if (!link && !card) return;
  event.preventDefault();
  if (link) showImages(link.href);
  else openDrawer(card);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-gallery], form[data-matrix-form]")) return;
  event.preventDefault();
  const query = new URLSearchParams(new FormData(form));
  if (form.matches("[data-gallery]")) showImages(`${form.action}?${query}`);
  else showMatricesOf(`${form.action.split("#")[0]}?${query}`);
});

// ---- one image ----

const drawer = $("#drawer");
let current = null;

function neighbour(step) {
  const cards = $$("#gallery a[data-image]");
  return cards[cards.indexOf(current) + step] ?? null;
}

function openDrawer(card) {
  current = card;
  const id = card.dataset.image;
  const image = $("#drawer-image");
  image.width = card.dataset.width;
  image.height = card.dataset.height;
  image.src = $("img", card)?.src ?? "";
  const large = new Image();
  large.addEventListener("load", () => current === card && (image.src = large.src));
  large.src = `/api/v1/images/${id}/thumbnail/1024`;
  const truth = $("[data-truth]", card).textContent;
  image.alt = truth;
  $("#drawer-truth").textContent = truth;
  for (const side of ["a", "b"]) {
    const said = $(`[data-${side}]`, card);
    $(`#drawer-${side}`).className = said.className;
    $(`#drawer-${side}`).replaceChildren(...[...said.childNodes].map((node) => node.cloneNode(true)));
  }
  $("#drawer-page").href = card.href;
  $("#drawer-review").href = `${page.review}?image=${id}`;
  show($("#drawer-review"), page.mayReview);
  $("#drawer-before").disabled = !neighbour(-1);
  $("#drawer-next").disabled = !neighbour(1);
  closeFix();
  if (!drawer.open) drawer.showModal();
}

function closeFix() {
  const open = h("button", { type: "button", class: "btn btn-sm btn-outline-primary", text: "Wrong label? Fix it", onclick: openFix });
  $("#drawer-fix").replaceChildren(...(page.mayReview ? [open] : []));
}

/** What is saved is a review; the comparison keeps the label that was frozen. */
function openFix() {
  const answer = { image: { id: Number(current.dataset.image) }, prediction: null, regions: [] };
  const saved = (change) => {
    if (!change) return closeFix();
    const words = h("p", { class: "note good" }, "You said: ", h("strong", { text: change.words }), ". The next snapshot has it; this comparison keeps what was frozen. ");
    words.append(h("button", { type: "button", class: "btn btn-sm btn-link", text: "Undo", onclick: change.undo }));
    return $("#drawer-fix").replaceChildren(words);
  };
  $("#drawer-fix").replaceChildren(fixer({ project: page.project, answer, onSaved: saved, onClose: closeFix }));
}

function go(step) {
  const card = neighbour(step);
  if (card) openDrawer(card);
}

if (drawer) {
  $("#drawer-before").addEventListener("click", () => go(-1));
  $("#drawer-next").addEventListener("click", () => go(1));
  $("#drawer-close").addEventListener("click", () => drawer.close());
  drawer.addEventListener("close", () => current?.focus());
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  drawer.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select")) return;
    if (event.key === "ArrowLeft") go(-1);
    if (event.key === "ArrowRight") go(1);
  });
}

// ---- matrices: one at a time ----

function showMatrix(kind) {
  for (const box of $$("[data-matrix-of]")) show(box, box.dataset.matrixOf === kind);
  for (const button of $$("[data-matrix]")) button.setAttribute("aria-pressed", String(button.dataset.matrix === kind));
}

function readyMatrices(kind) {
  const tabs = $("#matrix-tabs");
  if (!tabs) return;
  show(tabs, true);
  showMatrix(kind);
  tabs.addEventListener("click", (event) => event.target.dataset.matrix && showMatrix(event.target.dataset.matrix));
}

/** The same one of the three, around another label; the choice keeps the keyboard. */
async function showMatricesOf(address) {
  const kind = $("#matrix-tabs [aria-pressed='true']").dataset.matrix;
  if (!(await swap("matrix", address))) return;
  readyMatrices(kind);
  $("#matrix-around").focus({ preventScroll: true });
}

readyMatrices("changed");

if (UNDER_WAY.includes(page.state)) watch();
