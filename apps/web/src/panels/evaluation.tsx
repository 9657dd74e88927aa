/** @file What the validator does right now: the round, the duel that runs, and how it stands. */
import type { CurrentEval, Dashboard, Status } from '@quasar/server/wire';
import { ago, count, fixed, signed } from '../format.ts';
import { Empty, Panel } from '../parts/panel.tsx';
import { Uid } from '../parts/uid.tsx';

interface EvaluationProps {
  dashboard: Dashboard;
  block: number | null;
  nowMs: number;
}

export function Evaluation({ dashboard, block, nowMs }: EvaluationProps) {
  const { status, current_eval: current } = dashboard;
  return (
    <Panel
      name="evaluation"
      title="Live evaluation"
      aside={
        <span className={`mode mode-${status.mode}`} data-testid="status">
          {status.label}
        </span>
      }
    >
      {current ? (
        <Running current={current} nowMs={nowMs} />
      ) : (
        <Empty title={status.detail}>{restText(status, dashboard)}</Empty>
      )}
      <RoundLine status={status} block={block} />
    </Panel>
  );
}

function restText(status: Status, { submissions }: Dashboard): string {
  const waiting = submissions.filter((one) => one.status === 'pending').length;
  if (waiting > 0) return `${waiting} ${waiting === 1 ? 'submission waits' : 'submissions wait'} for the next duel.`;
  return status.mode === 'idle'
    ? 'A round starts when the chain reveals the first submission.'
    : 'Nobody challenges the king. New submissions are read from the chain with every block.';
}

/** The colour of the one that is measured: the king's, the challenger's, or nobody's. */
const SIDES = { king: 'king', challenger: 'challenger', base: undefined, teacher: undefined } as const;
const NAMES = { king: 'The king', challenger: '', base: 'The base student', teacher: 'The teacher' } as const;

function Running({ current, nowMs }: { current: CurrentEval; nowMs: number }) {
  const share = current.total > 0 ? Math.min(1, current.progress / current.total) : 0;
  const mean = current.mu_hat;
  return (
    <>
      <p className="contender">
        <Uid uid={current.uid} side={SIDES[current.role]} />
        <span className="contender-repo" data-testid="eval-repo" title={current.challenger_repo}>
          {NAMES[current.role] || current.challenger_repo}
        </span>
      </p>
      <div className="progress-head">
        <span className="phase" data-testid="eval-phase">
          {current.phase_label}
        </span>
        <span>
          {current.progress} of {current.total}
        </span>
      </div>
      <div
        className="progress"
        role="progressbar"
        aria-label="Evaluation progress"
        aria-valuemin={0}
        aria-valuemax={current.total}
        aria-valuenow={current.progress}
      >
        <div style={{ width: `${share * 100}%` }} />
      </div>
      {mean !== null && (
        <>
          <div className="delta-head">
            <span>Mean delta so far</span>
            <strong className={mean > 0 ? 'is-good' : 'is-bad'} data-testid="eval-delta">
              {signed(mean)}
            </strong>
          </div>
          <TracePlot trace={current.trace} total={current.trace_total} />
          <p className="fine trace-caption">Above the line the challenger is closer to the teacher than the king.</p>
          <KlBars king={current.avg_king_loss} challenger={current.avg_challenger_loss} />
        </>
      )}
      <p className="fine">Last step {ago(current.updated_ms, nowMs)}</p>
    </>
  );
}

/** The running mean over the prompts done; above the line the challenger is ahead. */
function TracePlot({ trace, total }: { trace: [number, number][]; total: number }) {
  if (trace.length < 2) return null;
  const limit = Math.max(...trace.map(([, mean]) => Math.abs(mean))) * 1.15 || 1;
  const x = (done: number) => (done / Math.max(total, 1)) * 100;
  const y = (mean: number) => 50 - (mean / limit) * 50;
  const points = trace.map(([done, mean]) => `${x(done).toFixed(2)},${y(mean).toFixed(2)}`);
  const [first] = trace;
  const last = trace.at(-1);
  if (!first || !last) return null;
  const isAhead = last[1] > 0;
  const area = `M${x(first[0])},50 L${points.join(' L')} L${x(last[0])},50 Z`;
  return (
    <div className={isAhead ? 'trace is-good' : 'trace is-bad'}>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        <path className="trace-area" d={area} />
        <line className="trace-zero" x1="0" x2="100" y1="50" y2="50" />
        <polyline className="trace-line" points={points.join(' ')} />
      </svg>
      <span className="trace-dot" style={{ left: `${x(last[0])}%`, top: `${y(last[1])}%` }} />
    </div>
  );
}

function KlBars({ king, challenger }: { king: number | null; challenger: number | null }) {
  if (king === null || challenger === null) return null;
  const longest = Math.max(king, challenger) || 1;
  const rows = [
    ['King', king, 'king'],
    ['Challenger', challenger, 'challenger'],
  ] as const;
  return (
    <div className="kl" data-testid="eval-kl">
      <p className="kl-title">
        KL to the teacher <span>nats per token, shorter is better</span>
      </p>
      {rows.map(([name, value, role]) => (
        <div className="kl-row" key={role}>
          <span>{name}</span>
          <div className="kl-track">
            <div className={`kl-bar kl-${role}`} style={{ width: `${(value / longest) * 100}%` }} />
          </div>
          <span className="number">{fixed(value, 4)}</span>
        </div>
      ))}
    </div>
  );
}

/** How far the chain is between the start of the round and the block at which it takes effect. */
function RoundLine({ status, block }: { status: Status; block: number | null }) {
  const { round, start_block: start, activation_block: end } = status;
  if (round === null) return null;
  const share =
    block === null || start === null || end === null || end <= start ? null : (block - start) / (end - start);
  return (
    <div className="round-line" data-testid="round">
      <span>
        Round {round}
        {start !== null && ` from block ${count(start)}`}
        {end !== null && `, takes effect at ${count(end)}`}
      </span>
      {share !== null && (
        <div className="round-track" aria-hidden="true">
          <div style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
        </div>
      )}
    </div>
  );
}
