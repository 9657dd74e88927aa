/** @file Quasar attention: the recurrences alone, forward and with the gradients of every input. */
import { linearAttention } from '../linear-attention.js';

export const { title, run } = linearAttention('Quasar attention', ['delta_rule']);
