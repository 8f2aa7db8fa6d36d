// The files of one upload: their list, the news of each, and what the server knows that this page does not.
import { get } from "./api.js";
import { isUnpacked, isZip } from "./transmit.js";

/** Fires `change` (rows that changed) and `status` (anything about the whole). */
export class UploadRows extends EventTarget {
  constructor(record) {
    super();
    this.record = record; // {uid, project, name, createdAt, sideFiles, handles}
    this.rows = [];
    this.byPath = new Map();
    this.byItem = new Map();
    this.byImage = new Map(); // twins share an image, each has its own state
    this.trouble = "";
    this.changed = new Set();
    this.early = new Map();
  }

  get uid() {
    return this.record.uid;
  }

  add(entries) {
    for (const entry of entries) {
      const row = { ...entry, state: "queued", progress: 0, tries: 0, reason: "" };
      this.rows.push(row);
      this.byPath.set(row.path, row);
    }
  }

  touch(row, values = {}) {
    Object.assign(row, values);
    this.changed.add(row);
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      const rows = [...this.changed];
      this.changed.clear();
      this.dispatchEvent(new CustomEvent("change", { detail: rows }));
    }, 100);
  }

  status(trouble = this.trouble) {
    this.trouble = trouble;
    this.dispatchEvent(new Event("status"));
  }

  settleRow(row, values) {
    this.touch(row, values);
    this.index(row);
    const early = this.early.get(row.item);
    if (early) this.take([early]);
  }

  /** Where news of this row will look for it. */
  index(row) {
    if (row.item) this.byItem.set(row.item, row);
    if (!row.image) return;
    if (!this.byImage.has(row.image)) this.byImage.set(row.image, new Set());
    this.byImage.get(row.image).add(row);
  }

  /** News from the server: {item, state, label, score, image, path?}. */
  take(news) {
    if (news.length) this.heardAt = Date.now();
    for (const one of news) {
      const own = this.rowOf(one);
      if (own) this.takeOwn(own, one);
      else if (one.path) this.addFromServer(one);
      else this.takeOfOthers(one);
    }
  }

  rowOf(one) {
    return this.byPath.get(one.path) ?? this.byItem.get(one.item);
  }

  takeOwn(row, one) {
    this.early.delete(one.item);
    row.item ??= one.item;
    this.index(row);
    // The server still waits for the bytes: this page knows better how far they are.
    if (one.state === "expected") return;
    if (one.code === "archive" && one.state === "done" && row.state !== "done") this.hasUnknown = true;
    this.touch(row, {
      state: one.state, label: one.label ?? row.label, score: one.score ?? row.score, image: one.image ?? row.image,
      reason: one.reason ?? row.reason, code: one.code ?? row.code,
    });
  }

  /** Of a file this page does not know by its item: out of a zip, its bytes still on their way, or a twin's. */
  takeOfOthers(one) {
    this.early.set(one.item, one);
    this.hasUnknown = true;
    // A duplicate that was never sent has no item here: it shares the answer of its image, never the state.
    for (const row of this.byImage.get(one.image) ?? []) {
      if (!row.item) this.touch(row, { label: one.label ?? row.label, score: one.score ?? row.score });
    }
  }

  /** A file out of a zip, or of an earlier session: the server knows it, this page did not. */
  addFromServer(one) {
    if (one.state === "expected") return;
    const row = { path: one.path, size: one.size, progress: 1, tries: 0, reason: "", ...one };
    this.rows.push(row);
    this.byPath.set(row.path, row);
    this.index(row);
    this.touch(row);
  }

  counts() {
    const counts = {};
    for (const row of this.rows) if (!isUnpacked(row)) counts[row.state] = (counts[row.state] || 0) + 1;
    return counts;
  }

  /** Whether files came that this page does not list: only those of a zip do. */
  get wantsList() {
    return this.hasUnknown && this.rows.some((row) => isZip(row.path));
  }

  /** What the server knows of all files, in pages: after a refresh, or where news may have been lost. */
  async reconcile({ from = null } = {}) {
    let next = null;
    const query = { limit: 1000, after: from };
    const listed = new Set();
    do {
      const answer = await get(next ?? `/uploads/${this.uid}/items`, next ? {} : query);
      this.take(answer.results.map((item) => ({ ...item, item: item.id })));
      for (const { path } of answer.results) listed.add(path);
      next = answer.next ? answer.next.replace(window.location.origin, "") : null;
    } while (next);
    this.takeUnpacked(listed, from ?? 0);
  }

  /** A zip is listed only until its entries stand for it. `listed`: the paths of all items past `from`. */
  takeUnpacked(listed, from) {
    for (const row of this.rows) {
      const waits = isZip(row.path) && (row.state === "unpacking" || row.state === "received");
      if (!waits || listed.has(row.path) || (row.item && row.item <= from)) continue;
      this.takeOwn(row, { item: row.item, state: "done", code: "archive" });
    }
  }
}
