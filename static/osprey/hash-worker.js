// Fingerprints files away from the page. Small files go to the browser's own code where it is offered.
import { Sha256 } from "./sha256.js";

const WHOLE = 64 * 1024 * 1024;

async function inPieces(blob) {
  const hash = new Sha256();
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return hash.hex();
    hash.update(value);
  }
}

async function atOnce(blob) {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

self.addEventListener("message", async ({ data: { id, blob } }) => {
  try {
    const fast = self.crypto?.subtle && blob.size <= WHOLE;
    self.postMessage({ id, sha256: fast ? await atOnce(blob) : await inPieces(blob) });
  } catch (error) {
    self.postMessage({ id, error: error.name === "NotReadableError" ? "unreadable" : String(error.message || error) });
  }
});
