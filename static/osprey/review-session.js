// One sitting at a queue: the unit on the screen, those that come next, and the way back.
import { Problem, backOff, pause } from "./api.js";
import { Draft } from "./review-draft.js";
import { prefetch } from "./prefetch.js";

const FIRST = 6; // units asked for before the first is shown
const AHEAD = 32; // units asked for at once after that
const MOST = 40; // units kept ready: a reviewer goes on through an outage of some minutes
const SHARE = 4; // but no more than this part of what is left, so that others find something too
const LEAST = 4;
const LOOK_AGAIN = 20_000; // when the last ones are with other reviewers
const MOST_NAMED = 190; // units named to the site at once
const KEEP_BACK = 500; // how far U goes
const RENEW = 60_000;
const LONGEST_LOOK = 120; // seconds; more is a pause, not a look
const AWAY = 10 * 60_000; // a page nobody looks at gives its units back

const countImages = (units) => units.reduce((sum, one) => sum + one.images.length, 0);

export class Session extends EventTarget {
  constructor({ source, outbox }) {
    super();
    this.source = source;
    this.outbox = outbox;
    this.current = null; // { unit, draft }
    this.coming = [];
    this.back = []; // { unit, id, what }
    this.seen = new Set(); // units that were on the screen or come
    this.left = null; // images
    this.decided = 0;
    this.isDry = false; // the source has no more
    this.asking = null;
    this.trouble = null;
    this.pace = null; // seconds an image
    this.lastFields = null;
    this.hiddenAt = null;
    this.returned = new WeakSet(); // units taken back: their hold ended with the decision, and they stay here all the same
    this.drafts = new WeakMap(); // unit -> what was begun on it
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("pagehide", () => this.leave());
    setInterval(() => this.renew(), RENEW);
  }

  async start() {
    await this.fill();
    if (!this.current) this.advance();
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // ---- what comes ----

  /** How many units to keep ready. */
  get enough() {
    if (this.left === null || !this.held.length) return LEAST;
    const units = (this.left * this.held.length) / Math.max(1, countImages(this.held));
    return this.source.holds ? Math.max(LEAST, Math.min(MOST, Math.floor(units / SHARE))) : LEAST;
  }

  /** Ask for more until there is enough; an outage is waited out without stopping anybody. */
  fill() {
    this.asking ??= this.ask().finally(() => { this.asking = null; });
    return this.asking;
  }

  async ask() {
    for (let tries = 1; !this.isDry && this.coming.length < this.enough; tries += 1) {
      try {
        await this.askOnce();
        this.trouble = null;
        if (!this.current) this.advance();
      } catch (problem) {
        if (!(problem instanceof Problem) || (!problem.isPassing && problem.status !== 401)) {
          this.trouble = problem.message;
          this.tell("trouble");
          throw problem;
        }
        this.trouble = problem.message;
        this.tell("trouble");
        await pause(Math.min(10_000, backOff(tries, problem)));
      }
    }
  }

  async askOnce() {
    // What is on this page, and what is decided here but not yet taken by the site, must not come again.
    const have = [...this.held.map((one) => one.unit), ...this.outbox.units].slice(0, MOST_NAMED);
    const { units, left, secondsLeft } = await this.source.more(this.seen.size ? Math.min(AHEAD, Math.max(LEAST, this.enough - this.coming.length)) : FIRST, have);
    const fresh = units.filter((one) => !this.seen.has(one.unit));
    for (const unit of fresh) this.seen.add(unit.unit);
    this.coming.push(...fresh);
    this.left = Math.max(left - this.outbox.images, countImages(this.held));
    this.pace = secondsLeft && left ? secondsLeft / left : this.pace;
    this.isDry = !fresh.length;
    if (this.isDry && this.left > countImages(this.held)) this.lookAgain();
    prefetch(this.coming);
    this.tell("progress");
  }

  /** What is left is with others, who may skip it or leave. */
  lookAgain() {
    clearTimeout(this.again);
    this.again = setTimeout(() => { this.isDry = false; this.fill().catch(() => null); }, LOOK_AGAIN);
  }

  advance() {
    const unit = this.coming.shift() ?? null;
    this.put(unit ? this.entry(unit) : null);
    if (this.coming.length < this.enough) this.fill().catch(() => null);
  }

  entry(unit) {
    if (!this.drafts.has(unit)) this.drafts.set(unit, new Draft(unit));
    return { unit, draft: this.drafts.get(unit) };
  }

  put(entry) {
    this.current = entry;
    this.seconds = 0;
    this.since = document.hidden ? null : performance.now();
    prefetch(this.coming);
    this.tell("unit");
    this.tell("progress");
  }

  // ---- what is said ----

  decide(what) {
    const { unit, draft } = this.current;
    const seconds = Math.min(LONGEST_LOOK, Math.round(this.looked() * 10) / 10);
    const images = unit.images.map(({ id }) => id);
    const id = this.outbox.add({ body: draft.body({ queue: this.source.queue, seconds }), what, unit: unit.unit, images });
    const fields = draft.said.at(-1)?.fields ?? draft.hand.fields;
    if (Object.keys(fields).length) this.lastFields = { ...fields };
    this.remember({ unit, id, what });
    this.decided += 1;
    const size = images.length;
    if (this.left !== null) this.left = Math.max(0, this.left - size);
    this.pace = this.pace === null ? seconds / size : this.pace * 0.95 + (seconds / size) * 0.05;
    this.onward();
  }

  skip() {
    const { unit } = this.current;
    this.source.skip(unit).catch(() => null); // unheard, it comes again later, as one that was not skipped
    this.remember({ unit, id: null, what: "skipped" });
    this.onward();
  }

  /** The next one; at the end, one more look whether something came meanwhile. */
  onward() {
    this.advance();
    if (this.current || !this.isDry) return;
    this.isDry = false;
    this.fill().catch(() => null);
  }

  /** Forget what was begun on the unit on the screen. */
  restart() {
    this.drafts.delete(this.current.unit);
    this.tell("progress");
    this.current = this.entry(this.current.unit);
    this.tell("unit");
  }

  remember(entry) {
    this.back.push(entry);
    if (this.back.length > KEEP_BACK) this.back.shift();
  }

  /** Take the last unit back: its decision is undone, and it is on the screen again as it was left. */
  undo() {
    const last = this.back.pop();
    if (!last) return null;
    if (last.id) {
      this.outbox.undo(last.id, last.what);
      this.decided = Math.max(0, this.decided - 1);
      if (this.left !== null) this.left += last.unit.images.length;
    }
    if (this.current) this.coming.unshift(this.current.unit);
    this.returned.add(last.unit);
    this.put(this.entry(last.unit));
    this.current.draft.isTaken = true; // the next undo goes on to the unit before
    this.renew();
    return last;
  }

  /** A decision the site refused comes back to the person who made it, if it was made on this page. */
  bringBack(id, reason) {
    const at = this.back.findIndex((one) => one.id === id);
    if (at < 0) return false;
    const [{ unit }] = this.back.splice(at, 1);
    this.decided = Math.max(0, this.decided - 1);
    if (this.left !== null) this.left += unit.images.length;
    this.returned.add(unit);
    unit.refusal = reason;
    if (this.current) this.coming.unshift(unit);
    else this.put(this.entry(unit));
    return true;
  }

  // ---- who holds what, and how long one looks ----

  looked() {
    return this.seconds + (this.since === null ? 0 : (performance.now() - this.since) / 1000);
  }

  look() {
    if (document.hidden) {
      this.seconds = this.looked();
      this.since = null;
      this.hiddenAt = Date.now();
    } else {
      this.since = performance.now();
      this.hiddenAt = null;
      this.renew();
    }
  }

  get held() {
    return [...(this.current ? [this.current.unit] : []), ...this.coming];
  }

  async renew() {
    if (!this.source.holds || !this.held.length || (this.hiddenAt && Date.now() - this.hiddenAt > AWAY)) return;
    try {
      const asked = new Set(this.coming.map((one) => one.unit));
      const answer = await this.source.renew(this.held);
      const mine = new Set(answer.units);
      // What is not mine any more somebody else has; the one on the screen is still decided, as one more reading.
      const lost = this.coming.filter((one) => asked.has(one.unit) && !mine.has(one.unit) && !this.returned.has(one));
      this.coming = this.coming.filter((one) => !lost.includes(one));
      for (const one of lost) this.seen.delete(one.unit);
      if (lost.length) this.fill().catch(() => null);
    } catch (_) {
      // The next renewal tries again.
    }
  }

  leave() {
    if (this.source.holds && this.held.length) this.source.release(this.held).catch(() => null);
  }
}
