// One file on its way: a picture as the whole body, a zip in a form that carries its name.
import { sendBytes } from "./api.js";

export const isZip = (path) => /\.zip$/i.test(path);

/** A zip that is unpacked is not a file any more: its entries stand for it, as in the server's counts. */
export const isUnpacked = (row) => row.state === "done" && isZip(row.path);

/** A line of the list that goes first. */
export function manifestLine({ path, size, mtime }) {
  return { path, size, modified_at_ms: Math.round(mtime) };
}

export function transmit(uid, path, blob, isWatched, options) {
  if (!isZip(path)) {
    return sendBytes(`/uploads/${uid}/file`, { path, priority: isWatched ? "interactive" : "bulk" }, blob, options);
  }
  const form = new FormData();
  form.append("file", blob, path);
  return sendBytes(`/uploads/${uid}/zip`, {}, form, { ...options, method: "POST" });
}
