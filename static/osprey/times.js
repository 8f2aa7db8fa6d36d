// Times of the system in the reader's zone, with the zone shown: the account's zone, else the browser's.

const zone = document.documentElement.dataset.zone || undefined;

function formatter(options) {
  try {
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
  } catch (_) {
    return new Intl.DateTimeFormat("en-GB", options);
  }
}

const FULL = formatter({
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

export function fullTime(date) {
  return FULL.format(date);
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(date) {
  const seconds = (date.getTime() - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return RELATIVE.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

export function localise(root = document) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-as-is])")) {
    const date = new Date(element.getAttribute("datetime"));
    if (Number.isNaN(date.getTime())) continue;
    const full = fullTime(date);
    element.textContent = element.hasAttribute("data-ago") ? ago(date) : full;
    element.title = full;
  }
}
