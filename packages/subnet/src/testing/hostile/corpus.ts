/** @file The hostile corpus: every attack on a validator that we know of, with what it must end as. */
import type { AttackGroup } from './attack.ts';
import { COMMITMENTS, REPOSITORIES } from './commitment-attacks.ts';
import { CONFIGS, TOKENIZERS } from './config-attacks.ts';
import { SYMMETRIES } from './disguise-attacks.ts';
import { CODE_AND_FORMATS, DISGUISES, NAMES, RESHARDS, SIZES } from './file-attacks.ts';
import { TWO_HEADS, UNBOUNDED } from './ground.ts';
import { HEADERS, TENSORS } from './header-attacks.ts';
import { HUB_ANSWERS } from './hub-attacks.ts';
import { HOLES, OVERFLOWS, RUNNING } from './running-attacks.ts';
import { COPIES, NUMBERS } from './weight-attacks.ts';

export const CORPUS: readonly AttackGroup[] = [
  { title: 'The commitment', attacks: COMMITMENTS },
  { title: 'The repository', attacks: REPOSITORIES },
  { title: 'Code, other formats, missing files', attacks: CODE_AND_FORMATS },
  { title: 'Other contents under accepted names', attacks: DISGUISES },
  { title: 'Weights in pieces', attacks: RESHARDS },
  { title: 'Names', attacks: NAMES },
  { title: 'Sizes', attacks: SIZES },
  { title: 'config.json', attacks: CONFIGS },
  { title: 'tokenizer.json', attacks: TOKENIZERS },
  { title: 'The header of the weights', attacks: HEADERS },
  { title: 'The tensor table', attacks: TENSORS },
  { title: 'Numbers', attacks: NUMBERS },
  { title: 'Copies', attacks: COPIES },
  { title: 'Copies in disguise', attacks: SYMMETRIES, ground: TWO_HEADS },
  { title: 'Models that misbehave when they run', attacks: RUNNING },
  { title: 'Overflow, were the numbers not bounded', attacks: OVERFLOWS, ground: UNBOUNDED },
  { title: 'Holes, were there any in the engine', attacks: HOLES },
  { title: 'The hub, and whoever sits before it', attacks: HUB_ANSWERS },
];
