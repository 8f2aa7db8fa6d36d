// The images that match the filters, read page by page after the last one seen: as quick at the millionth as at the first.
import { Problem, address, get, insist } from "./api.js";

const FIRST = 120;
const PAGE = 300;

export class Feed extends EventTarget {
  constructor(project) {
    super();
    this.project = project;
    this.items = [];
    this.next = null;
    this.turn = 0;
    this.busy = false;
    this.isEnd = false;
    this.trouble = null;
  }

  /** Begin anew with other filters; an answer to the old ones is then not wanted any more. */
  restart(filters) {
    this.turn += 1;
    this.items = [];
    this.isEnd = false;
    this.busy = false;
    this.trouble = null;
    this.next = address("/images", { project: this.project, ...filters, limit: FIRST });
    this.dispatchEvent(new Event("restart"));
    return this.more();
  }

  async more() {
    if (this.busy || this.isEnd || this.trouble) return;
    this.busy = true;
    const mine = this.turn;
    try {
      // A search in names answers a piece of the project at a time, and a piece may hold nothing.
      for (let before = this.items.length; this.items.length === before && !this.isEnd; ) {
        const answer = await insist(() => get(this.next), { tries: 4 });
        if (mine !== this.turn) return;
        this.take(answer);
      }
    } catch (problem) {
      if (mine !== this.turn) return;
      if (!(problem instanceof Problem)) console.error(problem);
      this.trouble = problem.message;
    }
    this.busy = false;
    this.dispatchEvent(new Event("more"));
  }

  take(answer) {
    const known = new Set(this.items.slice(-2 * PAGE).map((one) => one.id));
    for (const one of answer.results) if (!known.has(one.id)) this.items.push(one);
    this.isEnd = !answer.next;
    if (!answer.next) return;
    const url = new URL(answer.next, window.location.origin);
    url.searchParams.set("limit", PAGE);
    this.next = url.pathname + url.search;
  }
}
