// Where units of review come from: a queue of the site that nobody else works on meanwhile, or a list made in the grid.
import { call, get, post } from "./api.js";

function unitOf(raw) {
  return { ...raw, guesses: raw.guesses ?? [], isGroup: raw.unit.startsWith("g") };
}

export class QueueSource {
  constructor({ project, queue, selection }) {
    this.base = `/projects/${project}/queues/${queue}`;
    this.queue = queue;
    this.selection = selection;
    this.holds = true;
  }

  /** `have`: units that this page has already. */
  async more(limit, have) {
    const answer = await post(`${this.base}/next`, { limit, unit: "sequence", selection: this.selection, have });
    return { units: answer.units.map(unitOf), left: answer.left, secondsLeft: answer.at_my_pace_seconds };
  }

  skip(unit) {
    return post(`${this.base}/skip`, { unit: unit.unit });
  }

  release(units) {
    return call("POST", `${this.base}/release`, { body: { units: units.map((one) => one.unit) }, keepalive: true });
  }

  renew(units) {
    return post(`${this.base}/renew`, { units: units.map((one) => one.unit) });
  }
}

const LIST = "osprey-review-list";

/** What the grid hands over: the images from the chosen one on. */
export function keepList(project, ids) {
  try {
    sessionStorage.setItem(LIST, JSON.stringify({ project, ids }));
  } catch (_) {
    // Without storage just the one image is reviewed.
  }
}

function listFrom(project, image) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(LIST) ?? "null");
    const at = kept?.project === project ? kept.ids.indexOf(image) : -1;
    return at < 0 ? [image] : kept.ids.slice(at);
  } catch (_) {
    return [image];
  }
}

/** Images of the grid, each with its sequence; nothing is held, and what was reviewed before comes again. */
export class ListSource {
  constructor({ project, image }) {
    this.project = project;
    this.queue = "";
    this.ids = listFrom(project, image);
    this.first = image;
    this.done = new Set(); // images that came with an earlier unit
    this.holds = false;
  }

  async more(limit) {
    const units = [];
    while (units.length < Math.min(limit, 4) && this.ids.length) {
      const id = this.ids[0];
      if (!this.done.has(id)) {
        const unit = await this.unit(id);
        for (const image of unit.images) this.done.add(image.id);
        units.push(unit);
      }
      this.ids.shift(); // only now: an outage in between must not lose it
    }
    return { units, left: this.ids.length, secondsLeft: null };
  }

  async unit(id) {
    const image = await get(`/images/${id}`);
    const frames = image.sequence
      ? (await get("/images", { project: this.project, sequence: image.sequence, order: "oldest", limit: 200 })).results
      : [image];
    if (!frames.some((one) => one.id === id)) frames.unshift(image);
    const answers = await Promise.all(frames.map((one) => (frames.length <= 24 || one.id === id ? this.answer(one.id) : null)));
    const images = frames.map((one, at) => frameOf(one, answers[at]));
    const guesses = guessesOf(answers.find((one, at) => one && frames[at].id === id));
    return {
      unit: image.sequence ? `s${image.sequence}` : `i${id}`, why: whyOf(image), reason: "chosen", blind: false, isGroup: false,
      suggestion: guesses[0] ? { ...guesses[0], says: "The model says", from: "this frame" } : null, guesses,
      site: image.site_name ?? "", visit: image.visit_name ?? "", telling: id, images,
    };
  }

  async answer(id) {
    const { results } = await get(`/images/${id}/predictions`);
    return results.find((one) => one.purpose === "live" && one.state === "done") ?? null;
  }

  async skip() {}

  async release() {}

  async renew() {}
}

function guessesOf(answer) {
  const best = answer?.regions.find((one) => one.score === answer.score) ?? answer?.regions[0];
  return (best?.scores ?? []).map((one) => ({ label_key: one.key, label: one.label, score: one.score }));
}

function frameOf(image, answer) {
  return {
    id: image.id, prediction: answer?.id ?? null, captured_at: image.captured_at, width: image.width, height: image.height, path: image.path,
    thumbnail: `/api/v1/images/${image.id}/thumbnail/256`, preview: `/api/v1/images/${image.id}/thumbnail/1024`,
    score: image.score, label_key: image.label_key, label: image.label, machine_label: image.machine_label, review_state: image.review_state, source: image.source,
    regions: (answer?.regions ?? []).map((one) => ({ box: one.box, label: one.label, score: one.score })), damaged: Boolean(image.damaged_share),
    current: null,
  };
}

function whyOf(image) {
  const said = image.review_state === "unreviewed" ? "nobody has reviewed it yet" : `it is called ${image.label ?? "nothing"} now (${image.source})`;
  return `You opened it from the grid; ${said}.`;
}
