/** @file One content as an HTTP answer, whole or one byte range (RFC 9110 §14). */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

/** @param range the `Range` header; a form other than one `bytes=` range is ignored, as the RFC allows */
export function sendFile(
  file: { path: string; sizeBytes: number; sha256: string; revision: string },
  range: string | undefined,
  withBody: boolean,
): Response {
  const { sizeBytes } = file;
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    'content-type': 'application/octet-stream',
    etag: `"${file.sha256}"`,
    'x-linked-etag': `"${file.sha256}"`,
    'x-linked-size': String(sizeBytes),
    'x-repo-commit': file.revision,
  };
  // The clients learn the size from Content-Range; no range of an empty file can be satisfied, so it says so at once.
  if (sizeBytes === 0)
    return new Response(withBody ? '' : null, { headers: { ...headers, 'content-range': 'bytes */0' } });
  const asked = parseRange(range, sizeBytes);
  if (asked === 'unsatisfiable') {
    return new Response(null, { status: 416, headers: { ...headers, 'content-range': `bytes */${sizeBytes}` } });
  }
  const { first, last } = asked ?? { first: 0, last: sizeBytes - 1 };
  headers['content-length'] = String(last - first + 1);
  if (asked !== null) headers['content-range'] = `bytes ${first}-${last}/${sizeBytes}`;
  const body = withBody
    ? (Readable.toWeb(createReadStream(file.path, { start: first, end: last })) as ReadableStream)
    : null;
  return new Response(body, { status: asked === null ? 200 : 206, headers });
}

function parseRange(
  range: string | undefined,
  sizeBytes: number,
): { first: number; last: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return null;
  const end = sizeBytes - 1;
  if (match[1] === '') {
    const length = Number(match[2]);
    return length === 0 ? 'unsatisfiable' : { first: Math.max(0, sizeBytes - length), last: end };
  }
  const first = Number(match[1]);
  const last = match[2] === '' ? end : Math.min(end, Number(match[2]));
  if (match[2] !== '' && Number(match[2]) < first) return null;
  return first > end ? 'unsatisfiable' : { first, last };
}
