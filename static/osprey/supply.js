// After a refresh: which files this browser no longer holds, and finding them among what a person gives again.

export const isMissing = (row) => row.state === "queued" && !row.file && !row.isStored;

const shapeOf = ({ path, size, mtime }) => `${path.slice(path.lastIndexOf("/") + 1)} ${size} ${mtime}`;

/** A file of the same folder that is not missing was sent before, in an earlier session or by another tab. */
function isOfRoot(rows, path) {
  const root = path.includes("/") ? path.split("/")[0] : "";
  return Boolean(root) && rows.some((row) => row.path.startsWith(`${root}/`));
}

/** Bytes for missing rows: how many of `entries` belonged here, and the others. */
export function supply(rows, entries) {
  const wanted = rows.filter(isMissing);
  const known = new Set(rows.map((row) => row.path));
  const byPath = new Map(wanted.map((row) => [row.path, row]));
  const byShape = new Map(wanted.map((row) => [shapeOf(row), row]));
  const others = [];
  let found = 0;
  for (const entry of entries) {
    const same = byPath.get(entry.path);
    const row = same && same.size === entry.size ? same : byShape.get(shapeOf(entry));
    if (row && !row.file) {
      row.file = entry.file;
      found += 1;
    } else if (!known.has(entry.path) && !isOfRoot(rows, entry.path)) others.push(entry);
  }
  return { found, others };
}
