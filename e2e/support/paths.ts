/** @file Where things are, for tests that run the real command. */
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
export const QUASAR = `${REPOSITORY}packages/cli/bin/quasar.js`;
