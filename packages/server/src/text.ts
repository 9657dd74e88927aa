/** @file Text that strangers wrote (repository names, messages, hints), made harmless for logs and pages. */

/**
 * C0 and C1 controls (terminal escapes among them), zero-width and bidirectional controls (which make one name look
 * like another), line separators, lone surrogates.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Surrogate}/gu;

/** Unsafe characters become a space, runs of blanks one; cut to `maxLength` characters with an ellipsis. HTML is not touched. */
export function cleanText(value: unknown, maxLength = 300): string {
  const text = String(value ?? '')
    .slice(0, maxLength * 4)
    .replace(UNSAFE, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
