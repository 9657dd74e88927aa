/** @file The picture behind the king: an accretion disc around a dark centre, with its two jets. Drawn, not loaded. */
export function QuasarArt() {
  return (
    <svg className="quasar-art" viewBox="-200 -200 400 400" aria-hidden="true">
      <defs>
        <radialGradient id="halo">
          <stop offset="0" className="stop-hot" stopOpacity="0.55" />
          <stop offset="0.35" className="stop-ember" stopOpacity="0.22" />
          <stop offset="1" className="stop-ember" stopOpacity="0" />
        </radialGradient>
        <linearGradient id="disc" x1="0" x2="1">
          <stop offset="0" className="stop-ember" stopOpacity="0.05" />
          <stop offset="0.3" className="stop-ember" stopOpacity="0.9" />
          <stop offset="0.52" className="stop-white" />
          <stop offset="0.72" className="stop-hot" stopOpacity="0.9" />
          <stop offset="1" className="stop-hot" stopOpacity="0.05" />
        </linearGradient>
        <linearGradient id="jet" x1="0" x2="0" y1="1" y2="0">
          <stop offset="0" className="stop-white" stopOpacity="0.9" />
          <stop offset="0.25" className="stop-blue" stopOpacity="0.5" />
          <stop offset="1" className="stop-blue" stopOpacity="0" />
        </linearGradient>
      </defs>
      <circle r="190" fill="url(#halo)" />
      <g transform="rotate(-22)">
        <path className="jet" d="M-3.5 -10 L-13 -190 L13 -190 L3.5 -10 Z" fill="url(#jet)" />
        <path className="jet" d="M-3.5 -10 L-13 -190 L13 -190 L3.5 -10 Z" fill="url(#jet)" transform="rotate(180)" />
        {RINGS.map(([rx, width, opacity]) => (
          <ellipse
            key={rx}
            rx={rx}
            ry={rx * 0.27}
            fill="none"
            stroke="url(#disc)"
            strokeWidth={width}
            strokeOpacity={opacity}
          />
        ))}
        <circle r="29" className="hole" />
        <circle r="29.5" fill="none" className="photon-ring" />
        <path d="M-58 0 A58 15.7 0 0 0 58 0" fill="none" stroke="url(#disc)" strokeWidth="6" />
        <path d="M-78 0 A78 21 0 0 0 78 0" fill="none" stroke="url(#disc)" strokeWidth="8" />
        <path d="M-104 0 A104 28 0 0 0 104 0" fill="none" stroke="url(#disc)" strokeWidth="4" strokeOpacity="0.9" />
      </g>
    </svg>
  );
}

/** Half width, stroke width, opacity. */
const RINGS = [
  [58, 5, 0.9],
  [78, 7, 0.95],
  [104, 3.5, 0.8],
  [126, 2, 0.6],
  [148, 1.4, 0.45],
  [170, 1, 0.3],
] as const;
