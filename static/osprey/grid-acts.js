// Say what the chosen images show, all of them as one change, and take that back as one.
import { toast } from "./dom.js";
import { wordsOf } from "./review-draft.js";
import { count } from "./words.js";

const MOST = 10_000; // images in one change
const STATES = { labelled: "reviewed", "cannot-tell": "cannot-tell", "bad-image": "bad" };

/** What a cell shows after a person spoke, before the site has answered. */
function after(verdict, said) {
  return {
    label: said[0]?.label ?? (verdict === "labelled" ? null : undefined), label_key: said[0]?.key ?? (verdict === "labelled" ? null : undefined),
    source: "human", review_state: STATES[verdict], isNew: true,
  };
}

export class Acts {
  /** `filters()` gives what is filtered by now; `refresh()` paints again. */
  constructor({ outbox, feed, selection, filters, refresh }) {
    Object.assign(this, { outbox, feed, selection, filters, refresh });
    this.back = []; // { id, what, before: [[item, its old values]] }
    outbox.addEventListener("refused", ({ detail: { record } }) => this.restore(record.id));
  }

  decide(verdict, said = []) {
    const { selection } = this;
    if (!selection.size) {
      toast("Choose images first: click, Shift-click, drag a band, or Ctrl-A.", { seconds: 4 });
      return true;
    }
    if (!selection.isAllMatching && selection.size > MOST) {
      toast(`${count(selection.size, "image")} are more than one change takes: choose ${count(MOST, "image")} at most.`, { bad: true });
      return true;
    }
    const what = wordsOf({ verdict, said: said.map((one) => ({ count: 1, ...one })) });
    const chosen = this.feed.items.filter((one) => selection.has(one.id));
    const which = selection.isAllMatching ? { images: "selection", selection: this.filters() } : { images: chosen.map((one) => one.id) };
    const annotations = said.map((one) => ({ label_key: one.key, count: 1, fields: {} }));
    const body = { ...which, verdict, annotations, how: "bulk" };
    const id = this.outbox.add({ body, what, images: chosen.map((one) => one.id) });
    const before = chosen.map((item) => [item, { ...item }]);
    for (const item of chosen) Object.assign(item, clean(after(verdict, said)));
    const size = selection.isAllMatching ? "all that match" : count(chosen.length, "image");
    this.back.push({ id, what, before, size });
    toast(`${what[0].toUpperCase()}${what.slice(1)}: ${size}.`, { act: () => this.undo(id), label: "Undo (U)", seconds: 12 });
    this.refresh();
    return true;
  }

  /** The last change, or the one that a message was about. */
  undo(id = this.back.at(-1)?.id) {
    const last = this.back.find((one) => one.id === id);
    if (!last) return toast("Nothing to take back on this page.", { seconds: 3 });
    this.outbox.undo(last.id, last.what);
    this.restore(last.id);
    return toast(`Taken back: ${last.what}, ${last.size}.`, { seconds: 4 });
  }

  /** The cells as they were before one change, whether undone or refused. */
  restore(id) {
    const at = this.back.findIndex((one) => one.id === id);
    if (at < 0) return;
    const [{ before }] = this.back.splice(at, 1);
    for (const [item, old] of before) Object.assign(item, { isNew: false }, old);
    this.refresh();
  }
}

function clean(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
