/**
 * @file What a hub, or whoever sits between it and the validator, answers in place of the truth. None of it says anything
 * about the submission, so none of it ends one: at worst there is no verdict, and the validator asks again.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Attack, Label } from './attack.ts';

type Answer = NonNullable<Attack['answer']>;
type Reply = (response: ServerResponse, path: string | null) => void;

/** Everything that is asked for is answered so. */
const always =
  (reply: Reply): Answer =>
  (path, _request, response) => {
    reply(response, path);
    return true;
  };
/** The listing is true, the weights are not. */
const forWeights =
  (reply: Reply): Answer =>
  (path, _request, response) => {
    if (path !== 'model.safetensors') return false;
    reply(response, path);
    return true;
  };
const forListing =
  (reply: Reply): Answer =>
  (path, _request, response) => {
    if (path !== null) return false;
    reply(response, path);
    return true;
  };

const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Reply =>
  (response) =>
    void response.writeHead(code, headers).end(body);

/** As a ranged answer of the whole file would begin. */
const ranged = (response: ServerResponse, sizeBytes: number): ServerResponse =>
  response.writeHead(206, { 'content-range': `bytes 0-${sizeBytes - 1}/${sizeBytes}` });

const attack = (name: string, tries: string, code: string, answer: Answer, label: Label = 'no verdict'): Attack => ({
  name,
  tries,
  label,
  code: code.includes('.') ? code : `hub.${code}`,
  answer,
});

const endless =
  (chunk: Uint8Array): Reply =>
  (response) => {
    const more = () => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };

const drip =
  (headers: Record<string, string>): Reply =>
  (response) => {
    response.writeHead(200, headers);
    const timer = setInterval(() => response.write('x'), 10);
    response.on('close', () => clearInterval(timer));
  };

const redirect = (location: string): Reply => status(302, { location });

export const HUB_ANSWERS: Attack[] = [
  attack('429', 'too many requests', 'unreachable', always(status(429))),
  attack('500', 'a hub that is broken', 'unreachable', always(status(500))),
  attack(
    '503 with a time',
    'a hub that is busy for a day',
    'unreachable',
    always(status(503, { 'retry-after': '86400' })),
  ),
  attack(
    '404 of a proxy',
    'a missing page must not look like a missing model',
    'protocol',
    always(status(404, {}, 'not found')),
  ),
  attack(
    '403 of a firewall',
    'a forbidden page must not look like a private model',
    'unauthorized',
    always(status(403)),
  ),
  attack(
    'no answer',
    'waits without end',
    'unreachable',
    always(() => {}),
  ),
  attack(
    'connection cut at once',
    'a hub that hangs up',
    'unreachable',
    always((response) => response.destroy()),
  ),
  attack(
    'HTML for a listing',
    'the page of a hotel network',
    'protocol',
    forListing(status(200, {}, '<html>sign in</html>')),
  ),
  attack('listing that is no list', 'another JSON value', 'protocol', forListing(status(200, {}, '{"files":[]}'))),
  attack(
    'listing without sizes',
    'a default in their place',
    'protocol',
    forListing(status(200, {}, '[{"type":"file","path":"config.json","oid":"0"}]')),
  ),
  attack(
    'negative size',
    'a sum that stays small',
    'protocol',
    forListing(status(200, {}, `[{"type":"file","path":"config.json","size":-1,"oid":"${'a'.repeat(40)}"}]`)),
  ),
  attack(
    'endless listing',
    'memory of whoever reads it',
    'too_many_files',
    forListing(endless(Buffer.alloc(65_536, 0x20))),
    'INVALID',
  ),
  attack('endless pages', 'time of whoever follows them', 'protocol', (path, request, response) => {
    if (path !== null) return false;
    response.writeHead(200, { link: `<http://${request.headers.host}${request.url}>; rel="next"` }).end('[]');
    return true;
  }),
  attack(
    'next page at another host',
    'a request into the network of the validator',
    'redirect_refused',
    forListing((response) =>
      response.writeHead(200, { link: '<http://169.254.169.254/latest/meta-data>; rel="next"' }).end('[]'),
    ),
  ),
  attack(
    'headers of 1 MB',
    'memory before the first byte of a body',
    'unreachable',
    always(status(200, { 'x-padding': 'x'.repeat(1_000_000) })),
  ),
  attack(
    '1,000 headers',
    'memory before the first byte of a body',
    'unreachable',
    always(status(200, Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, 'y'.repeat(100)])))),
  ),
  attack(
    'redirect to this machine',
    'a request into the network of the validator',
    'redirect_refused',
    always(redirect('http://127.0.0.1:9/admin')),
  ),
  attack(
    'redirect to the cloud metadata',
    'keys of the machine',
    'redirect_refused',
    always(redirect('http://169.254.169.254/latest/meta-data/iam')),
  ),
  attack(
    'redirect to IPv6 loopback',
    'the same in other digits',
    'redirect_refused',
    always(redirect('http://[::1]:9/')),
  ),
  attack(
    'redirect to 0x7f000001',
    'the same in other digits',
    'redirect_refused',
    always(redirect('http://0x7f000001/')),
  ),
  attack('redirect to a file', 'reads the disk', 'redirect_refused', always(redirect('file:///etc/passwd'))),
  attack(
    'redirect to a look-alike host',
    'ends with the right letters',
    'redirect_refused',
    always(redirect('https://evilhuggingface.co/x')),
  ),
  attack(
    'redirect in a circle',
    'time without end',
    'protocol',
    always((response) => response.writeHead(302, { location: '?again' }).end()),
  ),
  attack('redirect to nowhere', 'an address that is none', 'protocol', always(redirect('http://[broken'))),
  attack(
    'gzip',
    'a few bytes that become gigabytes',
    'encoding_refused',
    forWeights((response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000))),
    ),
  ),
  attack(
    'brotli',
    'a few bytes that become gigabytes',
    'encoding_refused',
    forWeights((response) => response.writeHead(200, { 'content-encoding': 'br' }).end('x')),
  ),
  attack(
    'deflate in two layers',
    'a few bytes that become gigabytes',
    'encoding_refused',
    forWeights((response) => response.writeHead(200, { 'content-encoding': 'identity, deflate' }).end('x')),
  ),
  attack(
    'whole file for a range',
    'more than was asked for',
    'protocol',
    forWeights((response) => response.writeHead(200).end(Buffer.alloc(100_000))),
  ),
  attack(
    'another range',
    'bytes of another place',
    'protocol',
    forWeights((response) => response.writeHead(206, { 'content-range': 'bytes 64-71/300000' }).end(Buffer.alloc(8))),
  ),
  attack(
    'more than the range',
    'bytes beyond the declared end',
    'size_mismatch',
    forWeights((response) => response.writeHead(206, { 'content-range': 'bytes 0-7/300000' }).end(Buffer.alloc(64))),
  ),
  attack(
    'shorter file than listed',
    'another file than was checked',
    'size_mismatch',
    forWeights((response) => response.writeHead(206, { 'content-range': 'bytes 0-3/4' }).end('abcd')),
  ),
  attack(
    'other bytes than listed',
    'a poisoned file of the right length',
    'digest_mismatch',
    (path, request, response) => {
      // Header and config are asked for in small ranges; the download asks for everything.
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const size = Number(last) + 1;
      if (path !== 'model.safetensors' || first !== '0' || size < 50_000) return false;
      ranged(response, size).end(randomBytes(size));
      return true;
    },
  ),
  attack('endless weights', 'fills the disk of the validator', 'protocol', forWeights(endless(Buffer.alloc(65_536)))),
  attack('a byte every 10 ms', 'holds the validator for years', 'unreachable', always(drip({}))),
  attack(
    'a byte every 10 ms, of a terabyte',
    'holds the validator for years',
    'unreachable',
    forWeights((response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-7/300000' });
      const timer = setInterval(() => response.writableLength === 0 && response.write(''), 10);
      response.on('close', () => clearInterval(timer));
    }),
  ),
  attack('cut in the middle, every time', 'a file that never ends', 'unreachable', (path, request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (path !== 'model.safetensors' || Number(last) < 50_000) return false;
    response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${Number(last) + 1}` });
    response.write(Buffer.alloc(10), () => response.destroy());
    return true;
  }),
  attack('private', 'nobody can check what is committed', 'precheck.revision_missing', always(status(401)), 'REMOVED'),
  attack(
    'gated',
    'readable by those who sign something',
    'precheck.revision_missing',
    always(status(403, { 'x-error-code': 'GatedRepo' })),
    'REMOVED',
  ),
  attack(
    'disabled',
    'taken down by the hub',
    'precheck.revision_missing',
    always(status(403, { 'x-error-code': 'DisabledRepo' })),
    'REMOVED',
  ),
  attack(
    'revision rewritten',
    'history of the repository changed',
    'precheck.revision_missing',
    always(status(404, { 'x-error-code': 'RevisionNotFound' })),
    'REMOVED',
  ),
  attack(
    'files gone after the listing',
    'listed, but not there',
    'not_found',
    (path, _request, response) => {
      if (path === null) return false;
      response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
      return true;
    },
    'REMOVED',
  ),
  {
    name: 'renamed repository',
    tries: 'a redirect of the hub to the new name of the repository: followed',
    label: 'judged',
    code: null,
    answer: (_path, request, response) => {
      const url = request.url ?? '';
      if (url.includes('?moved') || url.includes('&moved')) return false;
      response.writeHead(307, { location: `${url}${url.includes('?') ? '&' : '?'}moved` }).end();
      return true;
    },
  },
];
