// Curves of a run as plain SVG: losses, and shares between 0 and 1, over epochs.
import { s } from "./dom.js";

export const LOSSES = [{ key: "train_loss", words: "training loss" }, { key: "validation_loss", words: "validation loss" }];
export const SCORES = [{ key: "accuracy", words: "accuracy" }, { key: "balanced_accuracy", words: "balanced accuracy" }, { key: "macro_f1", words: "macro-F1" }];

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [460, 190, 40, 22, 8, 10];
const MOST = 400; // points a line is drawn with

/** What was said, as points over epochs. A second stage begins where the first one ended; of a sweep a point is a trial. */
export class Curves {
  constructor(recipe) {
    this.hasStages = recipe === "two-stage";
    this.hasTrials = recipe === "sweep";
    this.forget();
  }

  forget() {
    this.points = [];
    this.shift = 0;
    this.last = 0;
    this.epochs = 0;
  }

  add(said) {
    for (const one of said) {
      if (one.kind !== "epoch" && (one.kind !== "step" || this.hasTrials)) continue;
      const epoch = one.kind === "step" && one.steps ? ((one.step ?? 0) / one.steps) * (one.epochs ?? 0) : one.epoch ?? 0;
      if (this.hasStages && epoch <= 1 && this.last > 1) {
        this.shift += this.last;
        this.last = 0;
      }
      this.last = Math.max(this.last, epoch);
      const x = this.shift + epoch;
      this.epochs = Math.max(this.epochs, this.shift + (one.epochs ?? 0));
      // A run that went on from its checkpoint says some of it again: the newer word holds.
      if (x <= (this.points.at(-1)?.x ?? -1)) this.points = this.points.filter((point) => point.x < x);
      this.points.push({ x, ...one });
    }
  }

  has(key) {
    return this.points.some((point) => point[key] !== undefined);
  }

  /** The ends of epochs; the steps between them only where there is no end yet. The last best one is the best. */
  of(key, kind) {
    const said = this.points.filter((point) => point[key] !== undefined);
    const ends = said.filter((point) => point.kind === "epoch");
    const best = ends.findLast((point) => point.best);
    const since = ends.length > 1 ? ends.at(-1).x : -1;
    const taken = kind ? ends : said.filter((point) => point.kind === "epoch" || point.x > since);
    return taken.map((point) => ({ x: point.x, y: point[key], best: point === best }));
  }
}

function thinned(points) {
  const every = Math.ceil(points.length / MOST);
  return points.filter((_, place) => place % every === 0 || place === points.length - 1);
}

function step(range) {
  const rough = range / 3;
  const size = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((one) => one * size).find((one) => one >= rough) ?? size;
}

function ticks(low, high) {
  const size = step(high - low || 1);
  const found = [];
  for (let value = Math.ceil(low / size) * size; value <= high + size * 1e-6; value += size) found.push(Number(value.toPrecision(6)));
  return found;
}

/** A learning rate of 0.00005 is wider than the room beside the chart. */
function tickWords(value) {
  return value && Math.abs(value) < 0.001 ? value.toExponential().replace("e-", "e\u2212") : String(value);
}

/** `low` and `high` are for logs whose values lie far from zero; `step` is what they call an epoch. */
export function drawCurve(box, curves, lines, { share, step: unit = "epoch", low: least = null, high: greatest = null }) {
  const drawn = lines.map(({ key, words }) => ({ key, words, points: thinned(curves.of(key)), ends: curves.of(key, "epoch") })).filter(({ points }) => points.length);
  box.closest("figure").hidden = !drawn.length;
  if (!drawn.length) return;
  const values = drawn.flatMap(({ points }) => points.map(({ y }) => y));
  const room = least === null ? 0 : (greatest - least || Math.abs(greatest) || 1) * 0.04;
  const low = share ? 0 : least === null ? Math.min(0, ...values) : least - room;
  const high = share ? 1 : greatest === null ? Math.max(...values) * 1.05 || 1 : greatest + room;
  const most = Math.max(curves.epochs, 1);
  const atX = (x) => LEFT + (x / most) * (WIDTH - LEFT - RIGHT);
  const atY = (y) => TOP + (1 - (y - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const said = drawn.map(({ words, points }) => `${words} ${points.at(-1).y.toFixed(3)}`).join(", ");
  box.replaceChildren(s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": `After ${curves.points.at(-1).x.toFixed(1)} of ${most} ${unit}s: ${said}` },
    ticks(low, high).map((value) => [
      s("line", { class: "curve-line", x1: LEFT, x2: WIDTH - RIGHT, y1: atY(value), y2: atY(value) }),
      s("text", { class: "curve-text", x: LEFT - 6, y: atY(value) + 4, "text-anchor": "end", text: share ? `${Math.round(value * 100)} %` : tickWords(value) }),
    ]),
    ticks(0, most).filter(Number.isInteger).map((value) => s("text", { class: "curve-text", x: atX(value), y: HEIGHT - 5, "text-anchor": "middle", text: String(value) })),
    drawn.map(({ key, words, points, ends }) => [
      s("polyline", { class: `curve-of is-${key.replaceAll("_", "-")}`, points: points.map(({ x, y }) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(" ") }),
      ends.length <= 60 ? ends.map(({ x, y, best }) => s("circle", { class: `curve-dot is-${key.replaceAll("_", "-")}${best ? " is-best" : ""}`, cx: atX(x), cy: atY(y), r: best ? 4 : 2.5 }, s("title", { text: `${words} ${y.toFixed(3)} after ${unit} ${x}${best ? ", best so far" : ""}` }))) : null,
    ]),
  ));
}
