// The picture on the screen: one frame large with its boxes, the others as a filmstrip, zoom and swipe.
import { boxLayer } from "./boxes.js";
import { $, h, show } from "./dom.js";
import { picture, prefetchAround } from "./prefetch.js";
import { wordsOf } from "./review-draft.js";
import { baseName, confidence, count, percent } from "./words.js";

const ZOOM = 3;
const HOLD = 300; // ms a finger rests before it zooms
const SWIPE = 45;

function secondsBetween(first, other) {
  const gap = (Date.parse(other) - Date.parse(first)) / 1000;
  return Number.isFinite(gap) ? Math.round(gap) : null;
}

function gapWords(seconds) {
  if (seconds === null) return "";
  const sign = seconds < 0 ? "−" : "+";
  const size = Math.abs(seconds);
  if (size < 100) return `${sign}${size} s`;
  if (size < 6000) return `${sign}${Math.round(size / 60)} min`;
  return size < 172_800 ? `${sign}${Math.round(size / 3600)} h` : `${sign}${Math.round(size / 86_400)} days`;
}

export class Stage {
  constructor({ onFrame }) {
    this.frame = $("#stage-frame");
    this.strip = $("#filmstrip");
    this.onFrame = onFrame;
    this.unit = null;
    this.draft = null;
    this.at = 0;
    this.isZoomed = false;
    this.showsBoxes = true;
    this.pointers();
  }

  get image() {
    return this.unit?.images[this.at] ?? null;
  }

  /** Put a unit on the screen, its most telling frame large. */
  show(unit, draft) {
    this.unit = unit;
    this.draft = draft;
    this.at = Math.max(0, unit.images.findIndex((one) => one.id === unit.telling));
    this.zoom(false);
    this.drawStrip();
    this.drawFrame();
  }

  go(index) {
    if (!this.unit) return false;
    const to = Math.max(0, Math.min(this.unit.images.length - 1, index));
    if (to === this.at) return true;
    this.at = to;
    this.drawFrame();
    this.marks();
    return true;
  }

  step(by) {
    return this.go(this.at + by);
  }

  // ---- the large frame ----

  drawFrame() {
    const { image, unit } = this;
    const small = picture(image, "thumbnail");
    const large = picture(image, "preview");
    this.put((large.image ?? small.image), image, !large.image);
    small.ready.then(() => this.image === image && !large.image && this.put(small.image, image, true), () => null);
    large.ready.then(() => this.image === image && this.put(large.image, image, false), () => this.image === image && this.cannotShow(small));
    prefetchAround(unit, this.at);
    $("#frame-facts").textContent = this.facts(image);
    this.onFrame(image);
  }

  put(element, image, isWaiting) {
    this.frame.style.setProperty("--ratio", String((image.width || 4) / (image.height || 3)));
    this.frame.classList.toggle("is-waiting", isWaiting);
    const shown = this.unit.blind ? [] : image.regions ?? [];
    const boxes = boxLayer(shown, { width: image.width || 4, height: image.height || 3, chosen: bestOf(shown) });
    if (element) element.alt = this.alt(image);
    this.frame.replaceChildren(...[element, this.showsBoxes && boxes].filter(Boolean));
  }

  cannotShow(small) {
    if (small.image) return;
    this.frame.replaceChildren(h("p", { class: "no-thumb", text: "This picture cannot be shown." }));
  }

  alt(image) {
    const place = this.unit.images.length > 1 ? `Frame ${this.at + 1} of ${this.unit.images.length}` : "Picture";
    return `${place}: ${baseName(image.path || "") || `image ${image.id}`}`;
  }

  facts(image) {
    const place = this.unit.images.length > 1 ? `${this.at + 1} of ${this.unit.images.length}` : "";
    const raw = !this.unit.blind && image.machine_label ? `model: ${image.machine_label}${image.score === null ? "" : `, ${confidence(image.score)} ${percent(image.score)}`}` : "";
    const when = image.captured_at ? image.captured_at.replace("T", " ").slice(0, 19) : "";
    return [place, when, baseName(image.path || ""), raw, image.damaged && "part of it cannot be read"].filter(Boolean).join("  ·  ");
  }

  toggleBoxes() {
    this.showsBoxes = !this.showsBoxes;
    this.drawFrame();
  }

  // ---- the filmstrip ----

  drawStrip() {
    const { images } = this.unit;
    show(this.strip, images.length > 1);
    this.strip.classList.toggle("is-sheet", Boolean(this.unit.isGroup));
    this.cells = images.map((image, index) => h(
      "button",
      { type: "button", class: "film", onclick: () => { this.go(index); $("#stage").focus(); }, "aria-label": this.cellWords(image, index) },
      h("img", { src: image.thumbnail, alt: "", loading: index < 16 ? "eager" : "lazy", decoding: "async", width: 128, height: 96, draggable: "false", onerror: (event) => { event.target.style.visibility = "hidden"; } }),
      h("span", { class: "film-gap", text: index && !this.unit.isGroup ? gapWords(secondsBetween(images[0].captured_at, image.captured_at)) : "" }),
      h("span", { class: "film-said" }),
    ));
    this.strip.replaceChildren(...this.cells);
    this.marks();
  }

  cellWords(image, index) {
    const own = this.draft.frames.get(image.id);
    return `Frame ${index + 1}${own ? `, ${wordsOf(own)}` : ""}`;
  }

  /** Which frame is large, and which were said apart. */
  marks() {
    this.cells?.forEach((cell, index) => {
      const own = this.draft.frames.get(this.unit.images[index].id);
      cell.setAttribute("aria-current", String(index === this.at));
      cell.setAttribute("aria-label", this.cellWords(this.unit.images[index], index));
      cell.lastChild.textContent = own ? wordsOf(own) : "";
      cell.classList.toggle("is-apart", Boolean(own));
    });
    const now = this.cells?.[this.at];
    if (now && this.unit.images.length > 1) {
      const { strip } = this;
      strip.scrollLeft = now.offsetLeft - (strip.clientWidth - now.offsetWidth) / 2;
    }
  }

  // ---- zoom, by key, by pressing and holding, and swipe ----

  zoom(on = !this.isZoomed, point = null) {
    this.isZoomed = on;
    this.frame.classList.toggle("is-zoomed", on);
    if (on) this.look(point ?? this.middle());
    this.frame.style.transform = on ? `scale(${ZOOM})` : "";
  }

  look({ x, y }) {
    this.frame.style.transformOrigin = `${(x * 100).toFixed(1)}% ${(y * 100).toFixed(1)}%`;
  }

  /** Where the key zooms: the surest box, else the middle. */
  middle() {
    const shown = this.unit.blind ? [] : this.image.regions ?? [];
    const box = shown[bestOf(shown)]?.box;
    if (!box) return { x: 0.5, y: 0.5 };
    return { x: edge(box[0] + box[2] / 2), y: edge(box[1] + box[3] / 2) };
  }

  pointOf(event, box) {
    const limit = (value) => Math.max(0, Math.min(1, value));
    return { x: limit((event.clientX - box.left) / box.width), y: limit((event.clientY - box.top) / box.height) };
  }

  pointers() {
    let began = null; // { x, y, box, timer, touch }
    const area = $("#stage");
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.unit) return;
      const box = this.frame.getBoundingClientRect();
      const touch = event.pointerType !== "mouse";
      began = { x: event.clientX, y: event.clientY, box: this.isZoomed ? null : box, touch };
      if (touch) began.timer = setTimeout(() => this.zoom(true, this.pointOf(event, box)), HOLD);
      else if (!this.isZoomed) this.zoom(true, this.pointOf(event, box));
      area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (!began) return;
      if (this.isZoomed && began.box) this.look(this.pointOf(event, began.box));
      else if (Math.hypot(event.clientX - began.x, event.clientY - began.y) > 10) clearTimeout(began.timer);
    });
    const end = (event) => {
      if (!began) return;
      clearTimeout(began.timer);
      const across = event.clientX - began.x;
      const swiped = began.touch && !this.isZoomed && Math.abs(across) > SWIPE && Math.abs(across) > 1.5 * Math.abs(event.clientY - began.y);
      began = null;
      this.zoom(false);
      if (swiped && event.type === "pointerup") this.step(across < 0 ? 1 : -1);
    };
    area.addEventListener("pointerup", end);
    area.addEventListener("pointercancel", end);
    area.addEventListener("contextmenu", (event) => this.isZoomed && event.preventDefault());
  }
}

/** Zooming about a point keeps it where it is: near an edge, a little further in shows more of what is there. */
function edge(share) {
  return Math.max(0, Math.min(1, (share * ZOOM - 0.5) / (ZOOM - 1)));
}

function bestOf(regions) {
  return regions.reduce((best, one, index) => (one.box && (one.score ?? 0) > (regions[best]?.score ?? -1) ? index : best), 0);
}

export function unitWords(unit) {
  const size = unit.images.length;
  const kind = unit.isGroup ? `${count(size, "picture")} that look alike` : size > 1 ? `Sequence of ${size} frames` : "One picture";
  return [kind, unit.site && `at ${unit.site}`, unit.visit].filter(Boolean).join(", ");
}
