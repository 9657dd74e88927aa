/** @file Every duel on one scale: mean delta with its 95 % interval, verdict, and on opening the axes behind it. */
import type { Duel } from '@quasar/server/wire';
import { useState } from 'react';
import { ago, fixed, pValue, signed, uidName } from '../format.ts';
import { CompositeBars } from '../parts/composite-bars.tsx';
import { Empty, Panel } from '../parts/panel.tsx';
import { Revision } from '../parts/revision.tsx';
import { Uid } from '../parts/uid.tsx';
import { type Scale, ScaleTicks, scaleOf, Whisker } from '../parts/whisker.tsx';

const SHOWN_FIRST = 8;
const VERDICTS = {
  win: { name: 'Won', className: 'badge badge-good' },
  no_win: { name: 'Lost', className: 'badge badge-bad' },
  gate_failed: { name: 'Gate', className: 'badge badge-warn' },
} as const;

export function Duels({ duels, nowMs }: { duels: Duel[]; nowMs: number }) {
  const [isAll, setIsAll] = useState(false);
  const shown = isAll ? duels : duels.slice(0, SHOWN_FIRST);
  const scale = scaleOf(shown);
  return (
    <Panel name="duels" title="Duels" aside={<Legend />}>
      {duels.length === 0 ? (
        <Empty title="No duel has been judged yet">
          King and challenger answer the same prompts. What counts is the difference of their distance to the teacher,
          prompt by prompt.
        </Empty>
      ) : (
        <>
          <div className="duel-scale" aria-hidden="true">
            <ScaleTicks scale={scale} />
          </div>
          <ul className="duel-list">
            {shown.map((duel) => (
              <DuelRow key={duel.seq} duel={duel} scale={scale} nowMs={nowMs} />
            ))}
          </ul>
          {duels.length > SHOWN_FIRST && (
            <button type="button" className="more" onClick={() => setIsAll(!isAll)}>
              {isAll ? 'Show the newest only' : `Show all ${duels.length} duels`}
            </button>
          )}
        </>
      )}
    </Panel>
  );
}

function Legend() {
  return (
    <span className="legend">
      <svg viewBox="0 0 36 10" aria-hidden="true">
        <path d="M1 5h34M1 1.5v7M35 1.5v7" />
        <circle cx="18" cy="5" r="3.4" />
      </svg>
      mean delta ± 1.96 SE, nats per token
    </span>
  );
}

function DuelRow({ duel, scale, nowMs }: { duel: Duel; scale: Scale; nowMs: number }) {
  const verdict = VERDICTS[duel.verdict];
  return (
    <li className={`duel duel-${duel.verdict}`} data-testid="duel">
      <details>
        <summary>
          <span className="duel-who">
            <Uid uid={duel.uid} side="challenger" />
            <span className="duel-names">
              <span className="duel-repo" title={duel.challenger_repo}>
                {duel.challenger_repo}
              </span>
              <span className="fine">
                against {duel.king.uid < 0 ? 'base' : uidName(duel.king.uid)}
                {`, round ${duel.round}`}
              </span>
            </span>
          </span>
          <Whisker duel={duel} scale={scale} />
          <span className="duel-numbers">
            <span>
              <b>{signed(duel.mu_hat)}</b>
            </span>
            <span className="fine">
              p {pValue(duel.p_value)} · n {duel.paired_prompts}
            </span>
          </span>
          <span className={verdict.className} data-testid="duel-verdict">
            {verdict.name}
          </span>
        </summary>
        <DuelDetail duel={duel} nowMs={nowMs} />
      </details>
    </li>
  );
}

function DuelDetail({ duel, nowMs }: { duel: Duel; nowMs: number }) {
  const facts: [string, string][] = [
    ['judged', ago(duel.timestamp_ms, nowMs)],
    ['mean delta', signed(duel.mu_hat, 5)],
    ['standard error', fixed(duel.se, 5)],
    ['lower bound', signed(duel.lcb, 5)],
    ['t', Math.abs(duel.t_stat) >= 1e9 ? 'infinite' : fixed(duel.t_stat, 3)],
    ['p, one-sided', pValue(duel.p_value)],
    ['prompts', promptsText(duel)],
    ['king KL', fixed(duel.avg_king_loss, 4)],
    ['challenger KL', fixed(duel.avg_challenger_loss, 4)],
  ];
  if (duel.bootstrap_low !== null && duel.bootstrap_high !== null)
    facts.push(['95 % bootstrap', `${signed(duel.bootstrap_low, 3)} … ${signed(duel.bootstrap_high, 3)}`]);
  if (duel.pareto) {
    const { wins, losses, ties } = duel.pareto;
    facts.push(['axes won, lost, tied', `${wins.length}, ${losses.length}, ${ties.length}`]);
  }
  facts.push(['quality', fixed(duel.crown_quality)], ['king quality', fixed(duel.crown_king_quality)]);
  return (
    <div className="duel-detail">
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {duel.crown_reasons.length > 0 && (
        <ul className="reasons">
          {duel.crown_reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      <CompositeBars challenger={duel.composite} king={duel.king_composite} />
      <p className="duel-revisions">
        <span>challenger</span>
        <Revision value={duel.revision} label="challenger revision" />
        <span>king</span>
        <Revision value={duel.king.revision} label="king revision" />
        <span title="Computes this duel again and compares every bit, in the home of the validator">check it</span>
        <Revision value={`quasar duel replay ${duel.round}:${duel.uid}`} label="command" />
      </p>
    </div>
  );
}

const ENDS = { win: 'won early', futility: 'lost early', last_look: null } as const;

function promptsText({ paired_prompts: used, planned_prompts: planned, ended_by: end }: Duel): string {
  const early = end && ENDS[end];
  return early ? `${used} of ${planned}, ${early}` : String(used);
}
