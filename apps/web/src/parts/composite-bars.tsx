/** @file The axes of a duel: king and challenger side by side, 0 to 1, longer is better. */
import type { Composite } from '@quasar/server/wire';
import { fixed } from '../format.ts';

interface CompositeBarsProps {
  challenger: Composite | null;
  king: Composite | null;
}

export function CompositeBars({ challenger, king }: CompositeBarsProps) {
  if (!challenger) return <p className="fine">The axes of this duel were not measured.</p>;
  const names = Object.keys(challenger.axes);
  return (
    <div className="axes" data-testid="axes">
      {names.map((name) => {
        const own = challenger.axes[name];
        const kings = king?.axes[name];
        const isBroken = own?.broken ?? false;
        return (
          <div key={name} className={isBroken ? 'axis is-broken' : 'axis'}>
            <span
              className="axis-name"
              title={isBroken ? 'Left out: the teacher itself fails on this axis.' : undefined}
            >
              {name.replaceAll('_', ' ')}
            </span>
            <span className="axis-bars">
              {kings && <Bar value={kings.value} side="king" />}
              <Bar value={own?.value ?? null} side="challenger" />
            </span>
            <span className="number">{isBroken ? 'left out' : fixed(own?.value ?? null, 2)}</span>
          </div>
        );
      })}
      <p className="axes-sum fine">
        {king && <span className="key key-king">king</span>}
        <span className="key key-challenger">challenger</span>
        <span>weighted {fixed(challenger.weighted)}</span>
        <span>worst {fixed(challenger.worst)}</span>
      </p>
    </div>
  );
}

function Bar({ value, side }: { value: number | null; side: 'king' | 'challenger' }) {
  return (
    <span className="axis-track">
      <span className={`axis-bar kl-${side}`} style={{ width: `${Math.min(1, Math.max(0, value ?? 0)) * 100}%` }} />
    </span>
  );
}
