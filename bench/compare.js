/** @file One case: our work beside that of the peers, interleaved, as a row of a table. */
import { interleave, median, own } from './measure.js';

/** What a figure is per second, and the factor from base units (FLOP, bytes, tokens). */
const SCALE = { 'GFLOP/s': 1e-9, 'GB/s': 1e-9, 'token/s': 1 };

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} shape
 * @property {'GFLOP/s' | 'GB/s' | 'token/s'} unit
 * @property {number} work FLOP, bytes or tokens of one repeat
 * @property {() => unknown} ours one repeat
 * @property {Record<string, object>} [peers] by column: `process` (a name of peers.js), the case it is asked for, and `check`,
 * which throws where the answer to `prepare` shows that the peer does something else
 * @property {'gflops' | 'readGBs' | 'copyGBs'} [bound] the peak that the figure is a share of
 * @property {import('@quasar/tensor').Tensor[]} [inputs] disposed of when the case is over
 * @property {number} [rounds] fewer than the usual, for work of many seconds
 * @property {(ours: {value: number, seconds: number}) => string} [note] for below the table
 * @property {object[]} [goals] `{peer, ratio}`, `{share}`, `{value}` or, where less is better, `{most}`
 */

/**
 * @param {Case} given
 * @param {{device: object, peers: import('./peers.js').Peers, plan: object}} context
 */
export async function compare(given, { device, peers, plan }) {
  const fence = device.allocate('float', 1);
  device.run('fill', [fence], [1, 0]);
  const runners = [own('ours', given.ours, () => device.read(fence))];
  const row = { case: given.name, shape: given.shape, unit: given.unit, ours: null, peers: {} };
  const prepared = [];
  try {
    for (const [column, { process, check, ...request }] of Object.entries(given.peers ?? {})) {
      try {
        const peer = await peers.prepare(process, request);
        if ('missing' in peer) {
          row.peers[column] = { missing: peer.missing };
          continue;
        }
        prepared.push(peer);
        check?.(peer.answer);
        runners.push({ name: column, sample: peer.sample });
      } catch (error) {
        row.peers[column] = { error: error.message };
      }
    }
    const samples = await interleave(runners, { ...plan, rounds: Math.min(plan.rounds, given.rounds ?? plan.rounds) });
    const figure = (name) => {
      const seconds = samples.get(name);
      if (seconds instanceof Error) return { error: seconds.message };
      const middle = median(seconds);
      return { value: (given.work / middle) * SCALE[given.unit], seconds: middle, samples: seconds };
    };
    row.ours = figure('ours');
    if (row.ours.error) throw samples.get('ours');
    for (const { name } of runners.slice(1)) {
      const peer = figure(name);
      row.peers[name] = peer.error ? peer : { ...peer, ratio: peer.seconds / row.ours.seconds };
    }
  } finally {
    for (const peer of prepared) await peer.drop().catch(() => {});
    device.free(fence);
    for (const tensor of given.inputs ?? []) tensor.dispose();
  }
  if (given.note) row.note = given.note(row.ours);
  row.bound = given.bound ?? null;
  row.goals = given.goals ?? [];
  return row;
}

/** Adds the share of the peak and says which goals are met; a goal against a peer that did not run stays open. */
export function judge(row, peaks) {
  const share = row.bound ? row.ours.value / peaks[row.bound] : null;
  return { ...row, share, goals: row.goals.map((goal) => ({ ...goal, ...judged(goal, row, share) })) };
}

function judged(goal, row, share) {
  const { value } = row.ours;
  if ('peer' in goal) {
    const found = row.peers[goal.peer]?.ratio ?? null;
    const isMet = found === null ? null : found >= goal.ratio;
    return { text: `>= ${goal.ratio} x ${goal.peer}`, found, isMet };
  }
  if ('share' in goal) return { text: `>= ${100 * goal.share} % of peak`, found: share, isMet: share >= goal.share };
  if ('most' in goal) return { text: `<= ${goal.most} ${row.unit}`, found: value, isMet: value <= goal.most };
  return { text: `>= ${goal.value} ${row.unit}`, found: value, isMet: value >= goal.value };
}
