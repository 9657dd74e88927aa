/** @file What a repository, a revision and a file of a submission may be called. */

/** A full commit id. Branches and tags move, so they pin nothing. */
export function isPinnedRevision(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** `owner/name`, both as on the Hugging Face hub: at most 96 characters, no `..`, no `.git` at the end. */
export function isRepoName(text: string): boolean {
  const part = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
  const parts = text.split('/');
  return parts.length === 2 && parts.every((name) => part.test(name) && !name.includes('..') && !name.endsWith('.git'));
}

/** `datasets/owner/name`: a repository of data, as the hub's own addresses have it. */
export function isDatasetName(text: string): boolean {
  return text.startsWith('datasets/') && isRepoName(text.slice('datasets/'.length));
}

/** Flat ASCII names only: no folders, no `..`, no hidden files, no look-alike letters. */
export function isFlatFileName(text: string): boolean {
  return text.length <= 200 && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text);
}

/** A file of a data set, in folders: ASCII that every file system takes, no `..`, no hidden files. */
export function isDatasetPath(text: string): boolean {
  return (
    text.length <= 400 &&
    text.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9 ._=+,@()-]*$/.test(part) && !part.endsWith('.'))
  );
}

/** A relative path as git allows it, for the local hub, which also holds repositories that are no submissions. */
export function isRepoPath(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  if (text.length > 400 || /[\u0000-\u001f\u007f\\]/.test(text)) return false;
  return text.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part !== '.git');
}
