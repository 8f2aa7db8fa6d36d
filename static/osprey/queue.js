// One upload of this browser: its bytes on their way. Its list and what became of each file: upload-rows.js.
import { Problem, backOff, insist, patch, pause, post } from "./api.js";
import { fromHandles } from "./gather.js";
import { fingerprint } from "./hash.js";
import { Lease } from "./lease.js";
import * as store from "./store.js";
import { isMissing, supply } from "./supply.js";
import { isZip, transmit } from "./transmit.js";
import { UploadRows } from "./upload-rows.js";
import { FINAL } from "./words.js";

const SENDERS = 4;
export const MANIFEST_CHUNK = 1000;
const CHECK_CHUNK = 200;
const FIRST_CHECK = 8;
const HASHED_AHEAD = 64;
const FEW = 3; // so few files go at once: asking first whether they are here would only cost time
const WATCHED = 20; // a person waits for so few; more of them stand back behind calls and single pictures
const SERVER_TRIES = 8;
const LONGEST_SAVING = 20_000; // a slow disk must not hold an upload back for ever

export class Queue extends UploadRows {
  constructor(record) {
    super(record);
    this.isPaused = false;
    this.hasMore = false; // bytes were given again while others were on their way
    this.startedAt = Date.now();
    this.controllers = new Set();
    this.lease = null;
  }

  async begin(entries, manifest) {
    try {
      this.lease ??= new Lease(this.uid);
      this.lease.take();
      await store.saveUpload(this.record);
      await store.saveFiles(this.uid, entries);
      this.saving = store.saveBlobs(this.uid, entries);
      while (manifest.length) {
        const piece = manifest.splice(0, MANIFEST_CHUNK);
        await insist(() => post(`/uploads/${this.uid}/manifest`, { manifest: piece }), { onWait: (p) => this.status(p.message) });
      }
      await this.send();
    } catch (problem) {
      this.stop(problem);
    }
  }

  /** Hash ahead, ask what is here already, and send the rest, a few at a time. */
  async send() {
    this.isRunning = true;
    do {
      this.hasMore = false;
      await this.sendAll(this.rows.filter((row) => row.state === "queued" && !isMissing(row)));
    } while (this.hasMore && !this.isStopped);
    this.isRunning = false;
    if (this.rows.every((row) => row.state !== "queued")) await this.finish();
    this.status();
  }

  /** Send what was given again; a round that runs takes it in by itself. */
  goOn() {
    if (!this.isRunning) this.send();
  }

  async sendAll(work) {
    this.ready = [];
    this.isHashing = true;
    this.status("");
    const hashing = work.length > FEW ? this.checkAll(work) : this.passAll(work);
    await Promise.all([hashing, ...Array.from({ length: SENDERS }, () => this.sendSome())]);
  }

  passAll(work) {
    this.ready.push(...work);
    this.isHashing = false;
  }

  async checkAll(work) {
    try {
      // Small questions first, so that sending begins at once.
      let size = FIRST_CHECK;
      for (let from = 0; from < work.length; from += size, size = Math.min(CHECK_CHUNK, size * 2)) {
        const chunk = work.slice(from, from + size);
        for (const row of chunk) await this.hashOne(row);
        await this.askWhatIsHere(chunk.filter((row) => row.sha256 && row.state === "hashing"));
        // A refresh costs nothing that is kept: the first answers come at once, the rest is kept before it is sent.
        await Promise.race([this.saving, pause(LONGEST_SAVING)]);
        while (this.ready.length > HASHED_AHEAD && !this.isStopped) await pause(100);
        if (this.isStopped) return;
      }
    } finally {
      this.isHashing = false;
    }
  }

  async hashOne(row) {
    if (this.isStopped || row.state !== "queued") return;
    await this.whilePaused();
    if (isZip(row.path)) {
      this.ready.push(row);
      return;
    }
    this.touch(row, { state: "hashing" });
    try {
      row.sha256 = await fingerprint(await this.bytesOf(row));
    } catch (_) {
      this.unreadable(row);
    }
  }

  async askWhatIsHere(rows) {
    if (!rows.length) return;
    const files = Object.fromEntries(rows.map(({ path, sha256 }) => [path, sha256]));
    const answer = await insist(() => post(`/uploads/${this.uid}/check`, { sha256: [], files }), { onWait: (p) => this.status(p.message) });
    const settled = [];
    for (const row of rows) {
      const image = answer.here?.[row.sha256];
      if (image) {
        this.settleRow(row, { state: "duplicate", image });
        settled.push(row.path);
      } else {
        this.touch(row, { state: "queued" });
        this.ready.push(row);
      }
    }
    await store.settle(this.uid, settled);
  }

  async sendSome() {
    while (!this.isStopped) {
      await this.whilePaused();
      const row = this.ready.shift();
      if (row) await this.sendOne(row);
      else if (!this.isHashing) return;
      else await pause(50);
    }
  }

  async sendOne(row) {
    let blob;
    try {
      blob = await this.bytesOf(row);
    } catch (_) {
      this.unreadable(row);
      return;
    }
    while (!this.isStopped) {
      const controller = new AbortController();
      this.controllers.add(controller);
      this.touch(row, { state: "sending", progress: 0 });
      try {
        const onProgress = (loaded) => this.touch(row, { progress: blob.size ? loaded / blob.size : 1 });
        const answer = await transmit(this.uid, row.path, blob, this.rows.length <= WATCHED, { onProgress, signal: controller.signal });
        await this.accepted(row, answer);
        return;
      } catch (problem) {
        if (!(await this.tryAgain(row, problem))) return;
      } finally {
        this.controllers.delete(controller);
      }
    }
  }

  async accepted(row, answer) {
    if (this.trouble) this.status("");
    const state = isZip(row.path) ? "unpacking" : answer.state === "duplicate" ? "duplicate" : "received";
    // News can be faster than this answer; a zip's answer names no item.
    this.settleRow(row, {
      state: FINAL.has(row.state) ? row.state : state, progress: 1, image: answer.image ?? row.image ?? null,
      prediction: answer.prediction ?? null, item: answer.item ?? row.item,
    });
    await store.settle(this.uid, [row.path]);
  }

  /** Whether sending this row should be repeated after a failure. */
  async tryAgain(row, problem) {
    if (problem.name === "AbortError") {
      this.touch(row, { state: "queued", progress: 0 });
      if (!this.isStopped) await this.whilePaused();
      return !this.isStopped;
    }
    if (!(problem instanceof Problem)) throw problem;
    if ([401, 403, 404, 507].includes(problem.status)) {
      this.touch(row, { state: "queued", progress: 0 });
      this.pause(problem.message);
      await this.whilePaused();
      return !this.isStopped;
    }
    row.tries += 1;
    if (problem.isPassing && (problem.status === 0 || problem.status === 429 || row.tries < SERVER_TRIES)) {
      this.touch(row, { state: "retrying", reason: problem.message });
      if (problem.status === 0) this.status(problem.message);
      await pause(backOff(row.tries, problem));
      return true;
    }
    this.settleRow(row, { state: problem.isPassing ? "failed" : "rejected", reason: problem.message, code: problem.code });
    await store.settle(this.uid, [row.path]);
    return false;
  }

  async bytesOf(row) {
    if (row.file) return row.file;
    const blob = await store.blobOf(this.uid, row.path);
    if (!blob) throw new Error("gone");
    return blob;
  }

  unreadable(row) {
    this.touch(row, {
      state: "failed",
      reason: "This browser cannot read the file any more: it was moved, changed or its disk is gone. Choose it again.",
    });
  }

  async whilePaused() {
    while (this.isPaused && !this.isStopped) await pause(150);
  }

  pause(why = "") {
    this.isPaused = true;
    for (const controller of this.controllers) controller.abort();
    this.status(why);
  }

  go() {
    this.isPaused = false;
    this.status("");
  }

  stop(problem) {
    this.isStopped = true;
    for (const controller of this.controllers) controller.abort();
    this.lease?.release();
    this.status(problem ? problem.message : "");
  }

  async finish() {
    if (this.isFinished) return;
    this.isFinished = true;
    await insist(() => patch(`/uploads/${this.uid}`, { state: "closed" })).catch((problem) => this.status(problem.message));
    await store.forget(this.uid);
    this.lease?.release();
  }

  /** Bytes for files this browser no longer holds: how many of `entries` belonged here, and the others. */
  supply(entries) {
    const answer = supply(this.rows, entries);
    if (answer.found) this.hasMore = true;
    return answer;
  }

  /** The same folder through the handle kept from before; false when a person must allow it first. */
  async reopen(ask) {
    if (!this.record.handles?.length) return false;
    const entries = await fromHandles(this.record.handles, { ask }).catch(() => null);
    return Boolean(entries && this.supply(entries).found);
  }

  get isSettled() {
    return this.rows.length > 0 && !this.isRunning && this.rows.every((row) => FINAL.has(row.state));
  }
}
