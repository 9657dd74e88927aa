/** @file How a model knows positions, switchable at run time without changing weights (architecture §3.2). */
import type { Rotation } from '@quasar/tensor';

export type Positional =
  /** Rotate queries and keys by their position (Su et al. 2021). */
  | { mode: 'rope' }
  /** Rotate positions below `cutoff`; from there on content alone counts. Contexts of any length see no new angle. */
  | { mode: 'safe_nope'; cutoff: number }
  /** Rotate nothing: the end of DroPE. Recurrence and short convolutions still know the order of tokens. */
  | { mode: 'nope' };

/** @returns null where nothing rotates */
export function rotationOf(positional: Positional, rotation: Rotation): Rotation | null {
  if (positional.mode === 'nope') return null;
  return positional.mode === 'rope' ? rotation : { ...rotation, cutoff: positional.cutoff };
}
