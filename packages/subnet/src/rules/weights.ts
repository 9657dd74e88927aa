/**
 * @file A verdict as a weight vector: 0.90 to the king, 0.10 to a configured reserve.
 *
 * Everything goes to the king when the reserve is unset, not in the subnet, or the king itself. Without a king that
 * can be paid: the configured fallback uid, then this validator's own uid if that is allowed, else no vector at all
 * (the old weights stay). Source: subnet.md sections 14 and 21 (row 1).
 */

export interface WeightRules {
  winnerShare: number;
  /** `1 - winnerShare`, written out so that both are exact. */
  reserveShare: number;
  reserveUid: number | null;
  noWinnerUid: number | null;
  fallbackToOwnUid: boolean;
}

export interface UidWeight {
  uid: number;
  /** Fraction; a vector sums to 1. */
  weight: number;
}

export interface WeightInput {
  /** The king's present uid; null when there is no king or its hotkey left the subnet. */
  kingUid: number | null;
  /** All uids of the subnet now. */
  uids: ReadonlySet<number>;
  ownUid: number;
}

/** The vector to set, or null to leave the chain as it is. */
export function buildWeights(input: WeightInput, rules: WeightRules): UidWeight[] | null {
  const { kingUid, uids, ownUid } = input;
  if (kingUid !== null && uids.has(kingUid)) {
    const { reserveUid, winnerShare, reserveShare } = rules;
    const reserved = reserveUid !== null && reserveUid !== kingUid && uids.has(reserveUid) && reserveShare > 0;
    if (!reserved) return [{ uid: kingUid, weight: 1 }];
    return [
      { uid: kingUid, weight: winnerShare },
      { uid: reserveUid, weight: reserveShare },
    ];
  }
  if (rules.noWinnerUid !== null && uids.has(rules.noWinnerUid)) return [{ uid: rules.noWinnerUid, weight: 1 }];
  if (rules.fallbackToOwnUid && uids.has(ownUid)) return [{ uid: ownUid, weight: 1 }];
  return null;
}
