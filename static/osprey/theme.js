// Runs before the first paint, so that a dark page never flashes white. No choice made: the system's preference holds.
(function () {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    let chosen = null;
    try {
      chosen = localStorage.getItem("osprey-theme");
    } catch (_) {
      // Storage may be switched off; the system's preference is still there.
    }
    document.documentElement.dataset.bsTheme = chosen || (dark.matches ? "dark" : "light");
  }
  paint();
  dark.addEventListener("change", paint);
  window.addEventListener("storage", paint);
  window.ospreyPaint = paint;
})();
