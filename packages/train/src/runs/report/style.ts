/** @file Look and script of a report: inline, nothing is fetched. */

export const STYLE = `
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1d2126;--dim:#667079;--line:#e3e5e8;--good:#2b8a4b;--warn:#b97a00;--bad:#c6382c;
--c0:#2367ab;--c1:#c8591d;--c2:#2f8a55;--c3:#8a4bab;--c4:#9a7b12;--c5:#5b6570;
--s0:#14539a;--s1:#3f7fc0;--s2:#86b1dc;--s3:#c3d9ee;--s4:#f1f1ef;--s5:#f8d6b5;--s6:#eda966;--s7:#d87a26;--s8:#a94c06}
@media (prefers-color-scheme:dark){:root{--bg:#131619;--card:#1a1e22;--ink:#e4e7ea;--dim:#98a2ac;--line:#2c3238;--good:#58b878;--warn:#d9a23a;--bad:#ee6f62;
--c0:#6aaeee;--c1:#f0935a;--c2:#62c48c;--c3:#c492e0;--c4:#d6b854;--c5:#a3adb8;
--s0:#8ac0f5;--s1:#5b98d6;--s2:#3a6ea5;--s3:#2b4763;--s4:#262b30;--s5:#553d26;--s6:#8f5a22;--s7:#cf832f;--s8:#f7b26a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:20px 16px 48px;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{margin:0;font-size:24px;line-height:1.25;overflow-wrap:anywhere}
h2{margin:36px 0 12px;font-size:17px}
p{margin:4px 0;max-width:75ch}
.dim,small,figcaption,caption{color:var(--dim)}
.state{display:inline-block;margin-left:8px;padding:1px 9px;border:1px solid currentColor;border-radius:99px;font-size:13px;vertical-align:3px}
.state.done,.state.running{color:var(--good)}.state.interrupted{color:var(--warn)}.state.failed,.state.killed{color:var(--bad)}
dl{display:flex;flex-wrap:wrap;gap:1px;margin:18px 0 0;border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--line)}
dl div{flex:1 1 150px;padding:9px 12px;background:var(--card)}
dt{font-size:12px;color:var(--dim)}
dd{margin:0;font-size:17px;font-variant-numeric:tabular-nums}
dd small{display:block;font-size:12px}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:14px;align-items:start}
figure{position:relative;margin:0;padding:10px 10px 8px;border:1px solid var(--line);border-radius:8px;background:var(--card)}
figcaption{display:flex;flex-wrap:wrap;gap:0 8px;min-height:23px;font-size:13px}
figcaption b{color:var(--ink);font-weight:600}
figcaption output{margin-left:auto;color:var(--ink);font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto;overflow:visible}
text{fill:var(--dim);font:11px system-ui,-apple-system,"Segoe UI",sans-serif;font-variant-numeric:tabular-nums}
polyline,path.dot{fill:none;stroke-width:1.7;stroke-linejoin:round;stroke-linecap:round}
polyline.faint{stroke-width:1;opacity:.32}
polyline.dots{stroke-width:1;stroke-dasharray:2 3}
path.dot{stroke-width:6}
.grid{stroke:var(--line);fill:none}.floor{stroke:var(--dim);fill:none}
.mark{stroke-width:1.5;fill:none}.saved{stroke:var(--dim)}.warning{stroke:var(--warn)}.bad{stroke:var(--bad)}
.cursor{stroke:var(--dim);stroke-dasharray:3 3}
.cells{fill:var(--s4)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:4px 0 0;padding:0;list-style:none;font-size:13px}
.legend li::before{content:"";display:inline-block;width:18px;height:0;margin-right:6px;border-top:2.5px solid var(--c);vertical-align:4px}
.legend li.dots::before{width:7px;height:7px;border:0;border-radius:9px;background:var(--c);vertical-align:1px}
${[0, 1, 2, 3, 4, 5].map((i) => `.c${i}{stroke:var(--c${i});--c:var(--c${i})}`).join('')}
${[0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => `path.s${i}{fill:var(--s${i})}i.s${i}{background:var(--s${i})}`).join('')}
.ramp{display:flex;flex-wrap:wrap;align-items:center;font-size:12px;color:var(--dim)}
.ramp i{width:16px;height:10px}.ramp span:first-child{margin-right:6px}.ramp span:last-of-type{margin:0 14px 0 6px}
.scroll{width:fit-content;min-width:min(100%,440px);max-width:100%;overflow-x:auto;margin:14px 0 20px;border:1px solid var(--line);border-radius:8px;background:var(--card)}
table{width:100%;border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
caption{padding:8px 12px;text-align:left;font-size:13px}
th,td{padding:5px 12px;border-top:1px solid var(--line);text-align:left;font-weight:400;vertical-align:top;overflow-wrap:break-word}
thead th{color:var(--dim);font-size:12px;white-space:nowrap}
.n{text-align:right;white-space:nowrap}
.strong th,.strong td{font-weight:600}
pre{overflow-x:auto;margin:8px 0;padding:10px 12px;border:1px solid var(--line);border-radius:8px;background:var(--card);font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
`;

/** Shows step and values of the lines at the pointer. */
export const SCRIPT = `
for (const svg of document.querySelectorAll('svg[data-axes]')) {
  const [x0, x1, y0, y1, log, left, right, top, bottom] = svg.dataset.axes.split(' ').map(Number);
  const out = svg.parentNode.querySelector('output');
  const lines = [...svg.querySelectorAll('polyline:not(.faint)')].map((line) => ({
    name: line.dataset.name,
    at: line.getAttribute('points').split(' ').map((pair) => pair.split(',').map(Number)),
  }));
  const cursor = document.createElementNS(svg.namespaceURI, 'path');
  cursor.setAttribute('class', 'cursor');
  const text = (value) => Number(value.toPrecision(4)).toLocaleString('en-US', { maximumSignificantDigits: 4 });
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const nearest = lines.map(({ name, at }) => ({ name, p: at.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a)) }));
    const px = nearest[0].p[0];
    const values = nearest.map(({ name, p }) => {
      const share = (bottom - p[1]) / (bottom - top);
      const value = log ? y0 * (y1 / y0) ** share : y0 + share * (y1 - y0);
      return (nearest.length > 1 ? name + ' ' : '') + text(value);
    });
    out.textContent = Math.round(x0 + ((px - left) / (right - left)) * (x1 - x0)).toLocaleString('en-US') + ': ' + values.join(', ');
    cursor.setAttribute('d', 'M' + px + ' ' + top + 'V' + bottom);
    svg.append(cursor);
  };
  const hide = () => { out.textContent = ''; cursor.remove(); };
  svg.addEventListener('pointermove', show);
  svg.addEventListener('pointerdown', show);
  svg.addEventListener('pointerleave', hide);
}
`;
