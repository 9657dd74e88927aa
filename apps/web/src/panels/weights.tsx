/** @file Where the reward goes: the weights that were set, whether the chain agrees, and who votes. */
import type { Dashboard } from '@quasar/server/wire';
import { count, percent } from '../format.ts';
import { Empty, Panel } from '../parts/panel.tsx';
import { Uid } from '../parts/uid.tsx';

export function WeightsPanel({ dashboard, block }: { dashboard: Dashboard; block: number | null }) {
  const { weights, validators } = dashboard;
  return (
    <Panel
      name="weights"
      title="Weights on chain"
      aside={
        weights && (
          <span className="fine">
            block {count(weights.set_at_block)}
            {block !== null && block > weights.set_at_block && `, ${count(block - weights.set_at_block)} ago`}
          </span>
        )
      }
    >
      {weights ? (
        <>
          <div className="shares" aria-hidden="true">
            {weights.targets.map((target) => (
              <div
                key={target.uid}
                className={target.is_king ? 'share is-king' : 'share'}
                style={{ flexGrow: target.weight }}
              />
            ))}
          </div>
          <ul className="share-list">
            {weights.targets.map((target) => (
              <li key={target.uid} data-testid="weight">
                <Uid uid={target.uid} side={target.is_king ? 'king' : undefined} />
                <span className="share-role">{target.is_king ? 'king' : 'reserve'}</span>
                <span className="number">{percent(target.weight)}</span>
              </li>
            ))}
          </ul>
          <Consensus dashboard={dashboard} />
        </>
      ) : (
        <Empty title="No weights yet">They are set after the first crown, and only from a complete verdict.</Empty>
      )}
      {validators.length > 0 && (
        <ul className="validators" aria-label="Validators">
          {validators.slice(0, 5).map((one) => (
            <li key={one.uid}>
              <Uid uid={one.uid} />
              <span className="validator-hotkey" title={one.hotkey}>
                {one.hotkey}
              </span>
              <span className="number">{count(Math.round(one.stake))} staked</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

/** The local winner and the winner that the chain reveals are two things; they differ for a while after a crown. */
function Consensus({ dashboard }: { dashboard: Dashboard }) {
  const { consensus_king: consensus, state_king_uid: own } = dashboard;
  if (!consensus) return null;
  const agrees = consensus.uid === own;
  const support = `uid ${consensus.uid} has ${percent(consensus.support_fraction)} of the vote by stake`;
  const paid = `the last epoch paid it ${percent(consensus.incentive_fraction)} of the incentive`;
  return (
    <p className={agrees ? 'consensus is-good' : 'consensus is-waiting'} data-testid="consensus">
      <span aria-hidden="true">{agrees ? '✓' : '…'}</span>
      {agrees ? `The chain agrees: ${support}, ${paid}.` : `The chain does not show the new king yet: ${support}.`}
    </p>
  );
}
