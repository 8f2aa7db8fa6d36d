// A grid that draws only the rows on the screen. Cells have their size before their pictures come, so nothing jumps.
import { h } from "./dom.js";

const OVERSCAN = 2; // rows above and below
const GAP = 8;
const SIDES = { small: 118, medium: 172, large: 268 };
const CAPTION = 42;

export class GridView {
  /** `paint(cell, item, index)` fills a cell; `onNear()` asks for more rows. */
  constructor(box, { paint, onNear }) {
    this.box = box;
    this.paint = paint;
    this.onNear = onNear;
    this.items = [];
    this.cells = new Map(); // index -> element
    this.spare = [];
    this.current = 0;
    this.size = "medium";
    this.canvas = h("div", { class: "grid-canvas" });
    box.append(this.canvas);
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(box);
    this.measure();
  }

  setSize(size) {
    this.size = SIDES[size] ? size : "medium";
    this.measure();
  }

  /** Columns and heights for this width; what was at the top stays there. */
  measure() {
    const width = this.box.clientWidth;
    if (!width) return;
    const first = this.columns ? Math.round(this.box.scrollTop / this.pitch) * this.columns : 0;
    const wanted = Math.min(SIDES[this.size], (width - GAP) / 2);
    this.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
    this.side = (width - GAP * (this.columns - 1)) / this.columns;
    this.height = Math.round(this.side * 0.75) + CAPTION;
    this.pitch = this.height + GAP;
    this.clear();
    this.stretch();
    this.box.scrollTop = Math.floor(first / this.columns) * this.pitch;
    this.draw();
  }

  clear() {
    for (const cell of this.cells.values()) this.retire(cell);
    this.cells.clear();
  }

  retire(cell) {
    cell.remove();
    if (this.spare.length < 60) this.spare.push(cell);
  }

  set(items) {
    if (items !== this.items) {
      this.items = items;
      this.current = 0;
      this.clear();
      this.box.scrollTop = 0;
    }
    this.stretch();
    this.draw();
  }

  stretch() {
    const rows = Math.ceil(this.items.length / this.columns);
    this.canvas.style.height = `${Math.max(0, rows * this.pitch - GAP)}px`;
  }

  draw() {
    if (!this.columns) return;
    const top = this.box.scrollTop;
    const firstRow = Math.max(0, Math.floor(top / this.pitch) - OVERSCAN);
    const lastRow = Math.ceil((top + this.box.clientHeight) / this.pitch) + OVERSCAN;
    const first = firstRow * this.columns;
    const last = Math.min(this.items.length, lastRow * this.columns);
    for (const [index, cell] of this.cells) {
      if (index >= first && index < last) continue;
      this.cells.delete(index);
      this.retire(cell);
    }
    for (let index = first; index < last; index += 1) if (!this.cells.has(index)) this.drawOne(index);
    if (this.items.length - last < 4 * this.columns * Math.ceil(this.box.clientHeight / this.pitch)) this.onNear();
  }

  drawOne(index) {
    const cell = this.spare.pop() ?? h("div", { class: "cell", role: "option" });
    const [row, column] = [Math.floor(index / this.columns), index % this.columns];
    cell.id = `cell-${index}`;
    cell.index = index;
    cell.style.width = `${this.side}px`;
    cell.style.height = `${this.height}px`;
    cell.style.transform = `translate(${column * (this.side + GAP)}px, ${row * this.pitch}px)`;
    cell.setAttribute("aria-posinset", index + 1);
    this.cells.set(index, cell);
    this.paint(cell, this.items[index], index);
    this.canvas.append(cell);
  }

  /** Paint again what is on the screen. */
  refresh() {
    for (const [index, cell] of this.cells) this.paint(cell, this.items[index], index);
  }

  /** Walk to an index and bring it into sight. */
  walk(index) {
    if (!this.items.length) return;
    this.current = Math.max(0, Math.min(this.items.length - 1, index));
    const top = Math.floor(this.current / this.columns) * this.pitch;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.height - this.box.clientHeight;
    this.draw();
    this.box.setAttribute("aria-activedescendant", `cell-${this.current}`);
    this.refresh();
  }

  get pageRows() {
    return Math.max(1, Math.floor(this.box.clientHeight / this.pitch));
  }

  /** The indices under a rectangle in the canvas's own coordinates. */
  under({ left, top, right, bottom }) {
    const found = [];
    const clampColumn = (x) => Math.max(0, Math.min(this.columns - 1, x));
    const fromRow = Math.max(0, Math.floor((top + GAP) / this.pitch));
    const toRow = Math.floor(Math.max(0, bottom) / this.pitch);
    const fromColumn = clampColumn(Math.floor((left + GAP) / (this.side + GAP)));
    const toColumn = clampColumn(Math.floor(right / (this.side + GAP)));
    for (let row = fromRow; row <= toRow; row += 1) {
      for (let column = fromColumn; column <= toColumn; column += 1) {
        const index = row * this.columns + column;
        if (index < this.items.length) found.push(index);
      }
    }
    return found;
  }
}
