// One tab does a thing for all tabs of a browser. Web Locks need HTTPS, so this is a short lease in localStorage.

const LIFE = 5000;
const ME = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) || "null");
  } catch (_) {
    return null;
  }
}

function write(key) {
  try {
    localStorage.setItem(key, JSON.stringify({ by: ME, until: Date.now() + LIFE }));
  } catch (_) {
    // Without storage every tab works for itself.
  }
}

export class Lease {
  constructor(name) {
    this.key = `osprey-lease-${name}`;
    this.timer = null;
  }

  /** Whether this tab holds it now; takes it when it is free. */
  take() {
    const held = read(this.key);
    if (held && held.by !== ME && held.until > Date.now()) return false;
    write(this.key);
    const now = read(this.key);
    const mine = !now || now.by === ME;
    if (mine && !this.timer) {
      this.timer = setInterval(() => (this.isMine() ? write(this.key) : this.stop()), LIFE / 3);
      addEventListener("pagehide", () => this.release(), { once: true });
    }
    return mine;
  }

  isMine() {
    const held = read(this.key);
    return !held || held.by === ME;
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }

  release() {
    if (this.timer && this.isMine()) localStorage.removeItem(this.key);
    this.stop();
  }
}
