// Before the first paint: the theme that was chosen here, else what the system prefers. A file, because the CSP forbids inline code.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('quasar.theme');
  } catch {}
  const isLight = matchMedia('(prefers-color-scheme: light)').matches;
  document.documentElement.dataset.theme =
    chosen === 'light' || chosen === 'dark' ? chosen : isLight ? 'light' : 'dark';
})();
