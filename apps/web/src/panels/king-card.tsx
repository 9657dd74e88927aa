/** @file The throne: who reigns, since when, with which revision, and who reigned before. */
import type { Dashboard, King } from '@quasar/server/wire';
import { ago, count, fixed, signed } from '../format.ts';
import { QuasarArt } from '../parts/quasar-art.tsx';
import { Revision } from '../parts/revision.tsx';
import { Uid } from '../parts/uid.tsx';

interface KingCardProps {
  dashboard: Dashboard;
  block: number | null;
  nowMs: number;
}

export function KingCard({ dashboard, block, nowMs }: KingCardProps) {
  const { king } = dashboard;
  return (
    <section className={king ? 'panel throne' : 'panel throne is-empty'} data-testid="king" aria-label="King">
      <QuasarArt />
      {king ? (
        <Reigning king={king} dashboard={dashboard} block={block} nowMs={nowMs} />
      ) : (
        <EmptyThrone wasHeld={dashboard.reigns.length > 0} />
      )}
      {dashboard.reigns.length > 1 && <Line reigns={dashboard.reigns} block={block} />}
    </section>
  );
}

function Reigning({ king, dashboard, block, nowMs }: KingCardProps & { king: King }) {
  const shares = dashboard.weights?.targets ?? [];
  const own = shares.find((target) => target.is_king)?.weight ?? null;
  const others = shares.filter((target) => !target.is_king).reduce((sum, target) => sum + target.weight, 0);
  const duel = dashboard.history.find(
    (one) => one.accepted && one.uid === king.uid && one.revision === king.king_revision,
  );
  return (
    <div className="throne-body">
      <p className="eyebrow">
        <svg viewBox="0 0 20 16" aria-hidden="true" className="crown">
          <path d="M1 13 2.6 3.2l4.6 4L10 1l2.8 6.2 4.6-4L19 13Z" />
        </svg>
        The king
      </p>
      <p className="throne-name">
        <span className="throne-uid" data-testid="king-uid">
          uid {king.uid}
        </span>
        <span className="throne-repo" data-testid="king-repo">
          {king.hf_repo}
        </span>
      </p>
      <div className="throne-revision">
        <Revision value={king.king_revision} label="revision" testId="king-revision" />
      </div>
      <dl className="stats">
        <div>
          <dt>Reign</dt>
          <dd>{king.reign_number}</dd>
        </div>
        <div>
          <dt>Crowned at block</dt>
          <dd>{count(king.crowned_at_block)}</dd>
          <dd className="stat-note">
            {block !== null && block >= king.crowned_at_block
              ? `${count(block - king.crowned_at_block)} blocks ago`
              : ago(king.crowned_ms, nowMs)}
          </dd>
        </div>
        <div data-testid="king-weights">
          <dt>Weights</dt>
          <dd>{own === null ? 'not set' : `${own} / ${Number(others.toFixed(4))}`}</dd>
          <dd className="stat-note">{own === null ? 'waiting for the chain' : 'king / reserve'}</dd>
        </div>
        {duel && (
          <div>
            <dt>Won by</dt>
            <dd>{signed(duel.mu_hat)}</dd>
            <dd className="stat-note">
              nats per token over {duel.paired_prompts} prompts, KL {fixed(duel.avg_challenger_loss)}
            </dd>
          </div>
        )}
        {king.last_measured && (
          <div>
            <dt>Measured again</dt>
            <dd>KL {fixed(king.last_measured.kl)}</dd>
            <dd className="stat-note">
              round {king.last_measured.round}, {king.last_measured.prompts} prompts, base{' '}
              {fixed(king.last_measured.base_kl)}; quality {fixed(king.last_measured.quality)}
            </dd>
          </div>
        )}
      </dl>
    </div>
  );
}

function EmptyThrone({ wasHeld }: { wasHeld: boolean }) {
  return (
    <div className="throne-body" data-testid="empty">
      <p className="eyebrow">The king</p>
      <p className="throne-name">
        <span className="throne-uid">The throne is empty</span>
      </p>
      <p className="throne-text">
        {wasHeld ? 'The last king was removed. ' : ''}The base student holds it for now. The first submission that is
        proven closer to the teacher, prompt by prompt, and passes the crown gate becomes king.
      </p>
    </div>
  );
}

/** Reigns as a line through time, each as long as it lasted in blocks. */
function Line({ reigns, block }: { reigns: King[]; block: number | null }) {
  const inOrder = reigns.toReversed();
  const end = Math.max(block ?? 0, inOrder.at(-1)?.crowned_at_block ?? 0);
  return (
    <ol className="reigns" aria-label="Reigns so far" data-testid="reigns">
      {inOrder.map((reign, index) => {
        const until = inOrder[index + 1]?.crowned_at_block ?? end;
        const blocks = Math.max(0, until - reign.crowned_at_block);
        const isLast = index === inOrder.length - 1;
        return (
          <li
            key={`${reign.reign_number} ${reign.king_revision}`}
            className={isLast ? 'reign is-current' : 'reign'}
            style={{ flexGrow: Math.max(blocks, 1) }}
            title={`Reign ${reign.reign_number}: ${reign.hf_repo}, from block ${reign.crowned_at_block}, ${blocks} blocks`}
          >
            <Uid uid={reign.uid} side={isLast ? 'king' : undefined} />
            <span className="reign-blocks">{blocks > 0 ? `${count(blocks)} blocks` : 'just crowned'}</span>
          </li>
        );
      })}
    </ol>
  );
}
