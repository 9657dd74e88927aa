/**
 * @file The text a miner puts on chain: `{"model":"owner/name","revision":"<40 hex>"}`, optionally `"manifest"`.
 *
 * Strict: exactly these keys, each once, no escapes. Block, hotkey and uid never come from the payload; the chain
 * says who committed and when (a spoofed block inside the JSON once made copies look like originals).
 */
import type { Issue, Result } from '@quasar/base';
import { isPinnedRevision, isRepoName } from '@quasar/hub';

export const MAX_COMMITMENT_BYTES = 512;

export interface CommitmentPayload {
  repo: string;
  /** 40 lower-case hex digits: a commit, never a branch. */
  revision: string;
  /** sha256 of the file manifest, 64 hex digits; computed at the first check when absent. */
  manifestSha256?: string;
}

const KEYS = ['model', 'revision', 'manifest'];

/** Parse untrusted payload text. Reports every finding. */
export function parseCommitment(data: string): Result<CommitmentPayload> {
  const sizeBytes = new TextEncoder().encode(data).length;
  if (sizeBytes > MAX_COMMITMENT_BYTES)
    return refuse(`got ${sizeBytes} bytes, expected at most ${MAX_COMMITMENT_BYTES}`, 'commitment.too_large');
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return refuse('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('not a JSON object');
  // With plain values, a repeated key or an escape makes the text longer than what it parses to.
  if (JSON.stringify(value).length !== data.replace(/\s/g, '').length)
    return refuse('the text holds a key twice or uses escapes');

  const record = value as Record<string, unknown>;
  const issues: Issue[] = [];
  for (const key of Object.keys(record))
    if (!KEYS.includes(key))
      issues.push({
        code: 'commitment.unknown_key',
        path: key.slice(0, 40),
        message: `key not known, expected only ${KEYS.join(', ')}`,
      });
  const { model, revision, manifest } = record;
  if (typeof model !== 'string' || !isRepoName(model))
    issues.push({
      code: 'commitment.bad_repo',
      path: 'model',
      message: `got ${show(model)}, expected owner/name`,
      hint: 'Letters, digits, ".", "_" and "-"; no URL, no leading dot.',
    });
  if (typeof revision !== 'string' || !isPinnedRevision(revision))
    issues.push({
      code: 'commitment.bad_revision',
      path: 'revision',
      message: `got ${show(revision)}, expected 40 lower-case hex digits`,
      hint: 'Commit the full commit hash of the upload. Branches and tags can move and are refused.',
    });
  if (manifest !== undefined && (typeof manifest !== 'string' || !/^[0-9a-f]{64}$/.test(manifest)))
    issues.push({
      code: 'commitment.bad_manifest',
      path: 'manifest',
      message: `got ${show(manifest)}, expected the sha256 of the file manifest as 64 lower-case hex digits`,
    });
  if (issues.length > 0) return { ok: false, issues };
  const payload = { repo: model as string, revision: revision as string };
  return { ok: true, value: manifest === undefined ? payload : { ...payload, manifestSha256: manifest as string } };
}

/** The text to put on chain. */
export function formatCommitment(payload: CommitmentPayload): string {
  const { repo, revision, manifestSha256 } = payload;
  return JSON.stringify({ model: repo, revision, manifest: manifestSha256 });
}

function refuse(message: string, code = 'commitment.malformed'): Result<CommitmentPayload> {
  const hint = 'Expected {"model":"owner/name","revision":"<40 hex>"}. Use `quasar submit`, which writes it for you.';
  return { ok: false, issues: [{ code, path: 'commitment', message, hint }] };
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
