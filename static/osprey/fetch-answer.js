// The full answer to an image, by its prediction where that is known, else by the newest live one of the image.
import { get, insist } from "./api.js";

export async function fetchAnswer({ image, prediction }) {
  if (prediction) return asAnswer(await insist(() => get(`/predictions/${prediction}`)));
  const list = await insist(() => get(`/images/${image}/predictions`));
  const all = list.results ?? list;
  const live = all.filter((one) => one.purpose === "live");
  const newest = live.find((one) => one.state === "done") ?? live[0] ?? all[0];
  return newest ? asAnswer(newest) : null;
}

/** What people say of an image now, the newest first: it outranks the machine wherever the image is shown. */
export async function fetchVerdict(image) {
  const { results } = await insist(() => get(`/images/${image}/history`));
  const [newest, ...others] = results.filter((one) => one.stands && one.review);
  if (!newest) return null;
  return { words: newest.what, who: newest.who, others: others.filter((one) => one.what !== newest.what).map((one) => `${one.who}: ${one.what}`) };
}

function asAnswer(found) {
  return { ...found, prediction: found.id ?? null, regions: found.regions ?? [] };
}
