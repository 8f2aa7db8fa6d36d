// The labels of a project: searched by the site, and as a tree that still works while the site is away.
import { get, post } from "./api.js";

const MOST = 5000;
const trees = new Map(); // project -> promise of Map(key -> label)

function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
}

/** All labels by key, read once a page. */
export function tree(project) {
  if (!trees.has(project)) {
    const reading = get(`/projects/${project}/labels`, { limit: MOST }).then((answer) => new Map(answer.results.map((one) => [one.key, one])));
    reading.catch(() => trees.delete(project));
    trees.set(project, reading);
  }
  return trees.get(project);
}

/** Labels by any of their names, from the site or, while it is away, from what this page has read. */
export async function search(project, text, limit = 12) {
  try {
    const answer = await get(`/projects/${project}/labels`, { search: text, limit });
    return answer.results;
  } catch (problem) {
    if (!problem.isPassing || !trees.has(project)) throw problem;
    const wanted = fold(text);
    const all = [...(await tree(project)).values()];
    const rank = ({ names }) => (names.includes(wanted) ? 0 : names.some((name) => name.startsWith(wanted)) ? 1 : 2);
    const found = all.filter(({ names }) => names.some((name) => name.includes(wanted)));
    return found.sort((a, b) => rank(a) - rank(b)).slice(0, limit);
  }
}

export async function create(project, name) {
  const label = await post(`/projects/${project}/labels`, { name });
  (await tree(project).catch(() => null))?.set(label.key, label);
  return label;
}

/** The labels above one, the nearest first. */
export function above(labels, key) {
  const line = [];
  for (let next = labels.get(key)?.parent; next && line.length < 40; next = labels.get(next)?.parent) {
    const label = labels.get(next);
    if (!label || line.includes(label)) break;
    line.push(label);
  }
  return line;
}

const SURE = 0.8;

/** What is sure when the label is not: the labels above the guesses, first the lowest that gathers enough of them. */
export function sureAncestors(labels, guesses) {
  const found = new Map(); // key -> { label, score, depth, of }
  for (const guess of guesses) {
    for (const label of above(labels, guess.label_key)) {
      const one = found.get(label.key) ?? { key: label.key, label: label.name, score: 0, depth: above(labels, label.key).length, of: 0 };
      found.set(label.key, { ...one, score: one.score + (guess.score ?? 0), of: one.of + 1 });
    }
  }
  const isSure = ({ score }) => Number(score >= SURE);
  return [...found.values()].sort((a, b) => isSure(b) - isSure(a) || (isSure(a) ? b.depth - a.depth : b.score - a.score) || b.of - a.of || b.depth - a.depth);
}

/** Labels that have others below them, the lowest first: all there is to offer where no guess is shown. */
export function groups(labels) {
  const parents = new Set([...labels.values()].map((one) => one.parent).filter(Boolean));
  const rows = [...parents].map((key) => labels.get(key)).filter(Boolean);
  return rows.map((one) => ({ key: one.key, label: one.name, depth: above(labels, one.key).length })).sort((a, b) => b.depth - a.depth || a.label.localeCompare(b.label));
}
