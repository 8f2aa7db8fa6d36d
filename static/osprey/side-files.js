// What cameras and computers put beside pictures: one summary line, not failures. The rules are the server's own.
import { data } from "./dom.js";

const given = data("side-file-rules", {});
const ENDINGS = new Set(given.endings);
const NAMES = new Set(given.names);
const FOLDERS = new Set(given.folders);
const RAW = new Set(given.raw);
const JPEG = new Set(given.jpeg);

function ending(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot < 1 ? "" : name.slice(dot).toLowerCase();
}

function stem(path) {
  return path.slice(0, path.length - ending(path).length).toLowerCase();
}

function kindOf(path) {
  const folders = path.toLowerCase().split("/");
  const name = folders.pop();
  const folder = folders.find((one) => FOLDERS.has(one));
  if (folder) return folder;
  if (NAMES.has(name)) return name;
  if (name.startsWith("._")) return "._*";
  return ENDINGS.has(ending(path)) ? ending(path) : null;
}

/** Part entries into pictures to send and side files, counted by kind. */
export function partSideFiles(entries) {
  const jpegs = new Set(entries.filter(({ path }) => JPEG.has(ending(path))).map(({ path }) => stem(path)));
  const sideFiles = {};
  const pictures = entries.filter(({ path }) => {
    const end = ending(path);
    const kind = kindOf(path) ?? (RAW.has(end) && jpegs.has(stem(path)) ? `${end} beside JPEG` : null);
    if (kind) sideFiles[kind] = (sideFiles[kind] || 0) + 1;
    return !kind;
  });
  return { pictures, sideFiles };
}

export function sideFileLine(sideFiles) {
  const parts = Object.entries(sideFiles ?? {}).sort((a, b) => b[1] - a[1]);
  const total = parts.reduce((sum, [, n]) => sum + n, 0);
  if (!total) return "";
  const which = parts.map(([kind, n]) => `${n} ${kind}`).join(", ");
  return `Left out ${total === 1 ? "1 side file" : `${total} side files`} of cameras and computers: ${which}.`;
}
