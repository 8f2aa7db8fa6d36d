// A list that draws only what is on the screen, so that 40,000 rows are as quick as 40.
import { h } from "./dom.js";

const OVERSCAN = 8;

export class RowList {
  /** `paint(element, row)` fills one row element; `choose(row)` is called for a click, Enter or the arrow keys. */
  constructor(box, { height, paint, choose }) {
    this.box = box;
    this.height = height;
    this.paint = paint;
    this.choose = choose;
    this.rows = [];
    this.drawn = new Map(); // index -> element
    this.current = -1;
    this.canvas = h("div", { class: "rows-canvas" });
    box.replaceChildren(this.canvas);
    box.tabIndex = 0;
    box.setAttribute("role", "listbox");
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  set(rows) {
    this.rows = rows;
    this.count = rows.length;
    this.canvas.style.height = `${rows.length * this.height}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - OVERSCAN);
    const last = Math.min(this.rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.height) + OVERSCAN);
    for (const [index, element] of this.drawn) {
      if (index >= first && index < last && element.row === this.rows[index]) continue;
      element.remove();
      this.drawn.delete(index);
    }
    for (let index = first; index < last; index += 1) this.drawOne(index);
  }

  drawOne(index) {
    const row = this.rows[index];
    let element = this.drawn.get(index);
    if (!element) {
      element = h("div", { class: "row-line", role: "option", id: `row-${index}`, "aria-setsize": this.rows.length, "aria-posinset": index + 1 });
      element.style.transform = `translateY(${index * this.height}px)`;
      element.style.height = `${this.height}px`;
      element.addEventListener("click", () => this.select(this.rows.indexOf(element.row)));
      element.row = row;
      this.drawn.set(index, element);
      this.canvas.append(element);
    }
    element.setAttribute("aria-selected", String(index === this.current));
    this.paint(element, row);
  }

  /** Repaint those of `rows` that are on the screen. */
  refresh(rows) {
    const changed = new Set(rows);
    for (const element of this.drawn.values()) if (changed.has(element.row)) this.paint(element, element.row);
  }

  select(index, quietly = false) {
    if (index < 0 || index >= this.rows.length) return;
    const before = this.drawn.get(this.current);
    before?.setAttribute("aria-selected", "false");
    this.current = index;
    const top = index * this.height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.height - this.box.clientHeight;
    this.draw();
    this.drawn.get(index)?.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", `row-${index}`);
    if (!quietly) this.choose(this.rows[index]);
  }

  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    let to = null;
    if (step) to = Math.max(0, Math.min(this.rows.length - 1, this.current + step));
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = this.rows.length - 1;
    if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.select(to);
  }
}
