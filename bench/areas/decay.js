/** @file Delta rule with decay: the recurrences alone, forward and with the gradients of every input. */
import { linearAttention } from '../linear-attention.js';

export const { title, run } = linearAttention('Delta rule with decay', ['gated_delta', 'kda']);
