// Decisions on their way: kept first, then sent in order and in batches, again and again until the site has spoken.
//
// A record: { id, kind: "decision" | "undo", body, what, unit, state: "waiting" | "refused", reason }. A decision's id is
// its client_id, so that sending it twice, also from two tabs, is saving it once.
import { Problem, backOff, call, pause, renewToken } from "./api.js";
import { newId } from "./ids.js";
import * as kept from "./outbox-store.js";

const BATCH = 25;
const LONGEST_WAIT = 15_000;
const ANSWER_WITHIN = 25_000;

export class Outbox extends EventTarget {
  constructor({ project, person }) {
    super();
    this.project = project;
    this.person = person;
    this.records = []; // waiting, in the order they were made
    this.refused = [];
    this.flying = new Set(); // ids of which the outcome is open
    this.turn = 0;
    this.trouble = null; // { words, until, signedOut }
    this.isKept = true;
    this.pumping = false;
    this.alone = 0; // how many go one at a time
    this.skipWait = null;
    addEventListener("online", () => this.hurry());
    addEventListener("beforeunload", (event) => {
      if (this.records.length) event.preventDefault();
    });
  }

  /** Take up what an earlier page left. */
  async open() {
    try {
      const found = await kept.all(this.project, this.person);
      const known = new Set(this.records.map((one) => one.id));
      this.records.unshift(...found.filter((one) => one.state === "waiting" && !known.has(one.id)).map((one) => ({ ...one, tries: 1 })));
      this.refused = found.filter((one) => one.state === "refused");
      this.others = await kept.othersWaiting(this.person);
    } catch (error) {
      this.lost(error);
    }
    this.changed();
    this.pump();
    return this;
  }

  get units() {
    return new Set(this.records.map((one) => one.unit).filter(Boolean));
  }

  get images() {
    return this.records.reduce((sum, one) => sum + (one.images?.length ?? 0), 0);
  }

  /** Keep and send a decision; its client_id comes back at once. */
  add({ body, what, unit, images }) {
    const id = newId();
    this.take({ id, kind: "decision", body: { ...body, client_id: id }, what, unit, images });
    return id;
  }

  /** Take a decision back: one that never left is forgotten, any other is undone after it has arrived. */
  undo(id, what) {
    const record = this.records.find((one) => one.id === id);
    this.drop(this.refused.filter((one) => one.id === id));
    if (record && !record.tries && !this.flying.has(id)) {
      this.drop([record]);
      return;
    }
    this.take({ id: newId(), kind: "undo", body: { change: id }, what: `Undo: ${what}` });
  }

  dismiss(record) {
    this.drop([record]);
  }

  take(record) {
    const full = { ...record, project: this.project, person: this.person, state: "waiting", at: Date.now(), turn: (this.turn += 1), tries: 0 };
    this.records.push(full);
    kept.put(full).catch((error) => this.lost(error));
    this.changed();
    this.pump();
  }

  drop(records) {
    const gone = new Set(records);
    if (!gone.size) return;
    this.records = this.records.filter((one) => !gone.has(one));
    this.refused = this.refused.filter((one) => !gone.has(one));
    kept.remove(records.map((one) => one.id)).catch((error) => this.lost(error));
    this.changed();
  }

  lost(error) {
    if (this.isKept) console.warn("Osprey: this browser keeps no decisions:", error?.message ?? error);
    this.isKept = false;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** Try again now instead of at the end of the wait. */
  hurry() {
    this.skipWait?.();
  }

  async pump() {
    if (this.pumping) return;
    this.pumping = true;
    let tries = 0;
    while (this.records.length) {
      const batch = this.next();
      try {
        await this.send(batch);
        [tries, this.trouble] = [0, null];
      } catch (problem) {
        if (!(problem instanceof Problem)) console.error(problem);
        tries += 1;
        await this.wait(problem, tries, batch);
      }
    }
    this.pumping = false;
    this.trouble = null;
    this.changed();
  }

  /** Decisions in a row go together; an undo goes alone, after what it undoes. */
  next() {
    if (this.records[0].kind === "undo") return this.records.slice(0, 1);
    const end = this.records.findIndex((one) => one.kind === "undo");
    return this.records.slice(0, Math.min(end < 0 ? Infinity : end, this.alone > 0 ? 1 : BATCH));
  }

  async send(batch) {
    for (const one of batch) {
      one.tries += 1;
      this.flying.add(one.id);
    }
    if (batch.length === 1) this.alone -= 1;
    this.changed();
    try {
      if (batch[0].kind === "undo") await this.sendUndo(batch[0]);
      else await this.sendDecisions(batch);
    } finally {
      for (const one of batch) this.flying.delete(one.id);
    }
  }

  async sendDecisions(batch) {
    const signal = AbortSignal.timeout?.(ANSWER_WITHIN);
    let answer;
    try {
      answer = await call("POST", `/projects/${this.project}/decisions`, { body: { decisions: batch.map((one) => one.body) }, signal });
    } catch (problem) {
      if (!isRefusal(problem)) throw problem;
      // One that cannot even be read would hold up the others: find it by sending one at a time.
      if (batch.length > 1) this.alone = batch.length;
      else this.refuse(batch[0], problem.message, problem.code);
      return;
    }
    const results = new Map(answer.results.map((one) => [one.client_id, one]));
    const saved = batch.filter((one) => results.get(one.id)?.state === "saved");
    this.drop(saved);
    for (const one of saved) this.dispatchEvent(new CustomEvent("saved", { detail: { record: one, result: results.get(one.id) } }));
    for (const one of batch) if (results.get(one.id)?.state === "refused") this.refuse(one, results.get(one.id).detail, results.get(one.id).code);
  }

  async sendUndo(record) {
    try {
      await call("POST", `/changes/${record.body.change}/undo`, { body: { client_id: record.id }, signal: AbortSignal.timeout?.(ANSWER_WITHIN) });
    } catch (problem) {
      if (!isRefusal(problem)) throw problem;
      // What was refused, or never arrived, needs no taking back.
      if (problem.status !== 404) return this.refuse(record, problem.message, problem.code);
    }
    this.drop([record]);
    return this.dispatchEvent(new CustomEvent("saved", { detail: { record } }));
  }

  refuse(record, reason, code = "") {
    this.records = this.records.filter((one) => one !== record);
    const refused = { ...record, state: "refused", reason: reason || "The site gave no reason.", code };
    this.refused.push(refused);
    kept.put(refused).catch((error) => this.lost(error));
    this.changed();
    this.dispatchEvent(new CustomEvent("refused", { detail: { record: refused } }));
  }

  async wait(problem, tries, batch) {
    const signedOut = problem.status === 401;
    if (problem.code === "csrf" && tries === 1 && await renewToken()) return;
    const milliseconds = Math.min(LONGEST_WAIT, backOff(tries, problem));
    const words = signedOut ? "signed out" : problem.status > 0 ? `the site answers ${problem.status}` : "offline";
    this.trouble = { words, until: Date.now() + milliseconds, signedOut, count: batch.length };
    this.changed();
    await Promise.race([pause(milliseconds), new Promise((resolve) => { this.skipWait = resolve; })]);
    this.skipWait = null;
    if (signedOut) await renewToken();
  }
}

/** The site has understood and says no; anything else may pass. Signing in again or a new token may still save it. */
function isRefusal(problem) {
  if (!(problem instanceof Problem) || problem.isPassing) return false;
  return problem.status !== 401 && problem.code !== "csrf" && problem.status !== 507;
}
