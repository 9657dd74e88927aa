/** @file What JSON.parse does not say about an untrusted text: how deep it nests, and whether an object has a key twice. */

const [QUOTE, BACKSLASH, COLON, OPEN_LIST, OPEN_OBJECT, CLOSE_LIST, CLOSE_OBJECT] = [
  0x22, 0x5c, 0x3a, 0x5b, 0x7b, 0x5d, 0x7d,
];

/** Deepest nesting of lists and objects, counted up to `limit + 1`: call it first, a parser may choke on millions. */
export function nestingDepth(text: string, limit: number): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length && deepest <= limit; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = stringEnd(text, i);
    else if (c === OPEN_LIST || c === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
    else if (c === CLOSE_LIST || c === CLOSE_OBJECT) depth--;
  }
  return deepest;
}

/**
 * The first key that some object has twice, or null. JSON.parse keeps the last of two equal keys silently, so two
 * readers could disagree on a file.
 * @param json valid JSON
 */
export function duplicateKey(json: string): string | null {
  const keysOfOpen: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i);
    if (c === OPEN_OBJECT) keysOfOpen.push(new Set());
    else if (c === CLOSE_OBJECT) keysOfOpen.pop();
    else if (c === QUOTE) {
      const end = stringEnd(json, i);
      let next = end + 1;
      while (json.charCodeAt(next) <= 0x20) next++;
      if (json.charCodeAt(next) === COLON) {
        // Parsed, because "a" and "\u0061" are one key.
        const key = JSON.parse(json.slice(i, end + 1)) as string;
        const keys = keysOfOpen.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      i = end;
    }
  }
  return null;
}

/** Index of the quote that closes the string opened at `start`, or the end of the text. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) break;
    if (c === BACKSLASH) i++;
  }
  return i;
}
