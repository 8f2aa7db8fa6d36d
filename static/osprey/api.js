// The REST calls of the pages: one place that knows the headers, the errors and when it is worth trying again.

const BASE = "/api/v1";

function csrf() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

/** Signing in again in another tab makes this page's token void: take the new one out of a fresh copy of it. */
export async function renewToken() {
  try {
    const response = await fetch(window.location.href, { credentials: "same-origin" });
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector('meta[name="csrf-token"]');
    if (!fresh?.content) return false;
    document.querySelector('meta[name="csrf-token"]').content = fresh.content;
    return true;
  } catch (_) {
    return false;
  }
}

/** What the server refused, in its own words (problem+json). */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || fallback(status));
    this.status = status;
    this.code = body.code || "";
    this.retryAfter = retryAfter;
    this.body = body;
  }

  /** Another try may succeed without anybody doing anything. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || (this.status >= 500 && this.status !== 507);
  }
}

function fallback(status) {
  if (status === 0) return "The site cannot be reached. Your files are kept; sending goes on when it answers again.";
  if (status === 401) return "You are signed out. Sign in again in another tab, then go on here.";
  if (status === 413) return "The file is larger than this site takes.";
  return `The site answered with status ${status}.`;
}

export function problemOf(status, text, retryAfterHeader) {
  let body = {};
  try {
    body = JSON.parse(text) || {};
  } catch (_) {
    // A proxy answers in HTML; the status alone must do.
  }
  const seconds = Number.parseFloat(retryAfterHeader ?? "");
  return new Problem(status, typeof body === "object" ? body : {}, Number.isFinite(seconds) ? seconds : null);
}

export function address(path, query = {}) {
  const url = new URL(path.startsWith("/api") ? path : BASE + path, window.location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url.pathname + url.search;
}

export async function call(method, path, { query = {}, body, signal, keepalive = false } = {}) {
  let response;
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrf();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    response = await fetch(address(path, query), {
      method, headers, signal, keepalive, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {}, null);
  }
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, response.headers.get("Retry-After"));
  return text ? JSON.parse(text) : null;
}

export const get = (path, query, options) => call("GET", path, { query, ...options });
export const post = (path, body, options) => call("POST", path, { body, ...options });
export const patch = (path, body, options) => call("PATCH", path, { body, ...options });

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** How long to wait before try number `tries` (from 1), in milliseconds, unless the server said. */
export function backOff(tries, problem) {
  if (problem?.retryAfter) return problem.retryAfter * 1000;
  const longest = Math.min(30_000, 500 * 2 ** (tries - 1));
  return longest * (0.5 + Math.random() / 2);
}

/** Repeat `act` while its failure may pass by itself. */
export async function insist(act, { tries = 8, onWait = null } = {}) {
  for (let turn = 1; ; turn += 1) {
    try {
      return await act();
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.isPassing || (turn >= tries && problem.status !== 0)) throw problem;
      const wait = backOff(turn, problem);
      if (onWait) onWait(problem, wait);
      await pause(wait);
    }
  }
}

/** Send one file's bytes with progress; fetch has no upload progress, so this is an XMLHttpRequest. */
export function sendBytes(path, query, blob, { method = "PUT", onProgress = null, signal = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address(path, query));
    request.setRequestHeader("X-CSRFToken", csrf());
    request.setRequestHeader("Accept", "application/json");
    // A form names its own boundary.
    if (!(blob instanceof FormData)) request.setRequestHeader("Content-Type", "application/octet-stream");
    if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText || "null"));
      else reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => reject(new Problem(0, {}, null)));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(blob);
  });
}
