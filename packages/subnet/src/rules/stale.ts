/**
 * @file Submissions whose files cannot be read, again and again, though the hub answers for others: asked less and less often.
 *
 * After three failed visits (subnet.md section 4: three failures of one model and revision) a submission is `stale`: asked in every
 * second of its rounds, then in every fourth, up to every sixteenth, and only once in such a round, so that it holds up nobody. It is
 * never refused for this; the first visit that reads it makes it fresh, and so does a new commitment.
 *
 * What keeps two validators together, although each counts its own visits:
 * - A visit counts only when the hub gave a listing in the same round. A hub that is down, or a validator cut off from it,
 *   counts for nobody, so the count is about the revision at the hub, which is the same for all.
 * - Pauses are powers of two, counted from the first round that could take the commitment, which the chain tells. So whoever
 *   asks most rarely asks in rounds in which all others ask too, and a revision that came back is judged by all in one round.
 * - A king that the stake of the network names is read whatever its count (`incumbent.ts`): a validator that did not ask follows.
 */
export interface StaleRules {
  /** So many failed visits make a submission stale. */
  failedVisits: number;
  /** A power of two. */
  longestPauseRounds: number;
}

/** From one visit to the next: 1 until it is stale. */
export function pauseRounds(failedVisits: number, rules: StaleRules): number {
  const beyond = failedVisits - rules.failedVisits;
  return beyond < 0 ? 1 : Math.min(2 ** Math.min(beyond + 1, 30), rules.longestPauseRounds);
}

/** @param firstRound the first that could take the commitment */
export function isVisited(failedVisits: number, round: number, firstRound: number, rules: StaleRules): boolean {
  return (round - firstRound) % pauseRounds(failedVisits, rules) === 0;
}

/** The first round after `round` in which it is asked for. */
export function nextVisit(failedVisits: number, round: number, firstRound: number, rules: StaleRules): number {
  const pause = pauseRounds(failedVisits, rules);
  return firstRound + (Math.floor((round - firstRound) / pause) + 1) * pause;
}
