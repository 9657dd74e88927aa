/** @file Attacks whose verdict needs a chain, an evaluation or a second look; all others end in the prechecks. */
export const NEEDS_CONTEST = ['The commitment', 'The repository', 'Copies', 'The hub, and whoever sits before it'];
