/** @file Gated linear attention: the recurrences alone, forward and with the gradients of every input. */
import { linearAttention } from '../linear-attention.js';

export const { title, run } = linearAttention('Gated linear attention', ['gla', 'simple_gla']);
