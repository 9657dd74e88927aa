/** @file The messages of a conversation as data files hold them. */
import type { ChatMessage } from '@quasar/model';

const ROLES = ['system', 'user', 'assistant', 'tool'];

/** @returns the messages, or what is wrong with them */
export function parseMessages(value: unknown): ChatMessage[] | string {
  if (!Array.isArray(value) || value.length === 0) return '"messages" that are no list or empty';
  for (const [i, message] of value.entries()) {
    const { role, content } = (message ?? {}) as Record<string, unknown>;
    if (!ROLES.includes(role as string)) {
      return `the role ${JSON.stringify(role) ?? 'missing'} in message ${i + 1}, not one of ${ROLES.join(', ')}`;
    }
    if (typeof content !== 'string') return `no text as content of message ${i + 1}`;
  }
  return value.map(({ role, content }) => ({ role, content }));
}
