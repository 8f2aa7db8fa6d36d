// What a person is about to say of one unit: the same for every frame, but for the frames that were said apart.

export const NOTHING = "nothing there";

export class Draft {
  constructor(unit) {
    this.unit = unit;
    this.verdict = null; // "labelled", "cannot-tell" or "bad-image"; null: not said yet
    this.said = []; // { key, label, count, fields } of the whole unit
    this.hand = { count: 1, fields: {} }; // what the next label takes, or the one chosen last has
    this.frames = new Map(); // image id -> { verdict, said }
    this.isAdding = false;
    this.note = "";
    this.isTaken = false; // it was saved and taken back
  }

  /** The label of the whole unit; after `also` one more beside it. */
  label({ key, label }) {
    if (this.isAdding) this.hand = { count: 1, fields: {} };
    const entry = Object.assign(this.hand, { key, label });
    const others = this.isAdding ? this.said.filter((one) => one.key !== key) : [];
    this.said = [...others, entry];
    this.verdict = "labelled";
    this.isAdding = false;
  }

  also() {
    if (this.said.length) this.isAdding = !this.isAdding;
    return this.said.length > 0;
  }

  /** A verdict that has no count and no fields: empty, bad image, cannot tell (`said`: the lowest sure label). */
  conclude(verdict, said = []) {
    this.verdict = verdict;
    this.said = said.map((one) => ({ ...one, count: 1, fields: {} }));
    this.isAdding = false;
  }

  /** Say one frame apart; saying the same again takes that back. */
  frame(id, verdict, said = []) {
    const now = this.frames.get(id);
    const same = now && now.verdict === verdict && now.said[0]?.key === said[0]?.key;
    if (same) this.frames.delete(id);
    else this.frames.set(id, { verdict, said: said.map((one) => ({ count: 1, fields: {}, ...one })) });
    return !same;
  }

  count(step) {
    this.hand.count = Math.max(1, Math.min(1_000_000, this.hand.count + step));
  }

  setCount(value) {
    this.hand.count = Math.max(1, Math.min(1_000_000, Math.round(value) || 1));
  }

  field(key, value) {
    if (value === null || value === "") delete this.hand.fields[key];
    else this.hand.fields[key] = value;
  }

  repeat(fields) {
    this.hand.fields = { ...this.hand.fields, ...fields };
  }

  /** What is said of a frame, its own or everybody's; null while nothing is. */
  of(id) {
    return this.frames.get(id) ?? (this.verdict ? { verdict: this.verdict, said: this.said } : null);
  }

  get isTouched() {
    return this.verdict !== null || this.frames.size > 0;
  }

  /** Every frame has its verdict. */
  get isWhole() {
    return this.verdict !== null || this.unit.images.every(({ id }) => this.frames.has(id));
  }

  get words() {
    const whole = this.verdict ? wordsOf(this) : "";
    const apart = this.frames.size ? `${this.frames.size} ${this.frames.size === 1 ? "frame" : "frames"} apart` : "";
    return [whole, apart].filter(Boolean).join(", ");
  }

  /** The decision to send: one change, whatever single frames differ in. */
  body({ queue, seconds }) {
    const { unit } = this;
    const verdict = this.verdict ?? "labelled";
    return {
      images: unit.images.map(({ id }) => id),
      verdict,
      annotations: annotationsOf(this.said, null),
      per_image: this.apart(verdict),
      values: this.said.length ? {} : { ...this.hand.fields },
      how: unit.blind ? "blind" : unit.isGroup ? "bulk" : "suggested",
      queue,
      seconds,
      predictions: Object.fromEntries(unit.images.filter((one) => one.prediction).map((one) => [one.id, one.prediction])),
      note: this.note,
    };
  }

  /** By frame, what differs: another verdict, other labels, or a box of its own. */
  apart(verdict) {
    const found = {};
    for (const image of this.unit.images) {
      const own = this.of(image.id);
      const annotations = annotationsOf(own.said, image);
      const isOther = own.said !== this.said || own.verdict !== verdict;
      if (isOther || annotations.some((one) => one.box)) found[image.id] = { annotations, ...(own.verdict === verdict ? {} : { verdict: own.verdict }) };
    }
    return found;
  }
}

/** A lone label on a frame with a lone box is that box's. */
function annotationsOf(said, image) {
  const boxes = (image?.regions ?? []).filter((one) => one.box);
  const box = said.length === 1 && said[0].count === 1 && boxes.length === 1 ? boxes[0].box : null;
  return said.map(({ key, count, fields }) => ({ label_key: key, count, fields, ...(box ? { box } : {}) }));
}

export function wordsOf({ verdict, said }) {
  if (verdict === "bad-image") return "bad image";
  const names = said.map(({ label, count }) => (count > 1 ? `${label} × ${count}` : label)).join(" and ");
  if (verdict === "cannot-tell") return names ? `cannot tell below ${names}` : "cannot tell";
  return names || NOTHING;
}
