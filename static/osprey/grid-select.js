// Which images are chosen: single ones, ranges, all that are loaded, or all that match on the site.

export class Selection extends EventTarget {
  constructor() {
    super();
    this.ids = new Set();
    this.anchor = 0;
    this.isAllMatching = false;
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    if (!this.ids.size && !this.isAllMatching) return;
    this.ids.clear();
    this.isAllMatching = false;
    this.changed();
  }

  only(items, index) {
    this.ids = new Set([items[index].id]);
    this.begin(index);
  }

  toggle(items, index) {
    const { id } = items[index];
    if (!this.ids.delete(id)) this.ids.add(id);
    this.begin(index);
  }

  begin(index) {
    this.anchor = index;
    this.isAllMatching = false;
    this.changed();
  }

  /** From where the last choice began to here; with `add`, beside what is chosen. */
  range(items, index, add = false) {
    const [from, to] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    const fresh = items.slice(from, to + 1).map((one) => one.id);
    this.ids = new Set(add ? [...this.ids, ...fresh] : fresh);
    this.isAllMatching = false;
    this.changed();
  }

  /** What a rubber band covers, beside what was chosen before it when `before` is given. */
  band(items, indices, before) {
    this.ids = new Set([...(before ?? []), ...indices.map((index) => items[index].id)]);
    this.isAllMatching = false;
    this.changed();
  }

  all(items) {
    this.ids = new Set(items.map((one) => one.id));
    this.isAllMatching = false;
    this.changed();
  }

  allMatching(items) {
    this.ids = new Set(items.map((one) => one.id));
    this.isAllMatching = true;
    this.changed();
  }
}
