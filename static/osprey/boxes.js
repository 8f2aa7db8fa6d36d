// Boxes over a picture: an SVG that scales with it, so that no pixel of the screen has to be measured.
import { s } from "./dom.js";

/** `regions` with relative boxes [x, y, width, height]; `chosen` is drawn strongly. */
export function boxLayer(regions, { width, height, chosen = 0, onChoose = null } = {}) {
  const withBoxes = regions.map((region, index) => ({ region, index })).filter(({ region }) => region.box);
  const layer = s("svg", { class: "box-layer", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
  for (const { region, index } of withBoxes) {
    const [x, y, w, t] = region.box;
    const shape = { x: x * width, y: y * height, width: w * width, height: t * height, "vector-effect": "non-scaling-stroke" };
    layer.append(
      s("rect", { ...shape, class: "box-halo" }),
      s("rect", { ...shape, class: index === chosen ? "box chosen" : "box", onclick: onChoose ? () => onChoose(index) : null }),
    );
  }
  return layer;
}

/** A bar for a share of 0 to 1, drawn by attributes because styles in markup are not allowed here. */
export function bar(share, kind = "") {
  return s(
    "svg",
    { class: `bar ${kind}`, viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "bar-ground", width: 100, height: 8, rx: 2 }),
    s("rect", { class: "bar-fill", width: Math.max(0.5, share * 100), height: 8, rx: 2 }),
  );
}
