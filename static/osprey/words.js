// How things are said. The words for confidence come from the server, so that both sides say the same.
import { data } from "./dom.js";

const LEVELS = data("confidence-words", [[0, "a guess"]]);

export function confidence(score) {
  if (score === null || score === undefined) return "";
  return LEVELS.find(([least]) => score >= least)?.[1] ?? "a guess";
}

export function percent(score) {
  if (score === null || score === undefined) return "";
  if (score > 0 && score < 0.01) return "<1 %";
  if (score < 1 && score > 0.995) return "99 %";
  return `${Math.round(score * 100)} %`;
}

const NUMBER = new Intl.NumberFormat("en");

export function number(value) {
  return NUMBER.format(value ?? 0);
}

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  let rest = value;
  while (rest >= 1000 && step < units.length - 1) {
    rest /= 1000;
    step += 1;
  }
  return `${rest < 10 && step > 0 ? rest.toFixed(1) : Math.round(rest)} ${units[step]}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 1) return "under a second";
  if (seconds < 90) return count(Math.round(seconds), "second");
  if (seconds < 5400) return count(Math.round(seconds / 60), "minute");
  return `${(seconds / 3600).toFixed(1)} hours`;
}

export const STATES = {
  queued: "in the queue",
  hashing: "fingerprinting",
  sending: "sending",
  retrying: "trying again",
  unpacking: "unpacking",
  expected: "waiting for its bytes",
  received: "being recognised",
  done: "done",
  duplicate: "already here",
  rejected: "rejected",
  failed: "failed",
};

export const FINAL = new Set(["done", "duplicate", "rejected", "failed"]);

export function stateWord(state) {
  return STATES[state] ?? state;
}

export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}
