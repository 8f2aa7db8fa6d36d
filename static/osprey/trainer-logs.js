// Curves of a log that another trainer wrote: one small chart each, drawn as a run's are.
import { $, data, h } from "./dom.js";
import { Curves, drawCurve } from "./run-curves.js";

const log = data("trainer-log");

function figure({ name, points }) {
  const box = h("div");
  const frame = h("figure", {}, h("figcaption", { text: `${name}, at the end ${Number(points.at(-1)[1].toPrecision(5))}` }), box);
  const curves = new Curves("");
  curves.points = points.map(([x, y]) => ({ x, value: y, kind: "step" }));
  curves.epochs = points.at(-1)[0];
  $("#log-charts").append(frame);
  const values = points.map(([, y]) => y);
  drawCurve(box, curves, [{ key: "value", words: name }], { share: false, step: log.step, low: Math.min(...values), high: Math.max(...values) });
}

log.curves.forEach(figure);
