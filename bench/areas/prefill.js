/** @file Reading one sequence of up to a million tokens. */
import { longSequences } from '../long.js';

export const { title, run, plot } = longSequences('prefill');
