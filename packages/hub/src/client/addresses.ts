/**
 * @file Which addresses a hub may lead to. A name proves nothing: whoever owns it decides, at every question anew, what it
 * resolves to. So the addresses themselves are checked, and the connection goes to a checked one (no second question).
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { QuasarError } from '@quasar/base';

export type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>;

/** Not of the public internet: this machine, its networks, link-local (cloud metadata), multicast, and forms that wrap them. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ] as const),
  ...([
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
])
  PRIVATE.addSubnet(network, bits, 'ipv4');
/** Global unicast of IPv6 is 2000::/3; what is private inside it is the documentation net, Teredo and 6to4. */
const GLOBAL6 = new BlockList();
GLOBAL6.addSubnet('2000::', 3, 'ipv6');
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
] as const)
  PRIVATE.addSubnet(network, bits, 'ipv6');

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !PRIVATE.check(address, 'ipv4');
  return family === 6 && GLOBAL6.check(address, 'ipv6') && !PRIVATE.check(address, 'ipv6');
}

/** A host that says by itself that it is near: digits, or this machine's own name. */
export function isLiteralHost(hostname: string): boolean {
  return isIP(bare(hostname)) !== 0 || hostname === 'localhost';
}

/** A `lookup` for one connection: asks once, and gives only what was checked. @throws (to the connection) hub.private_address */
export function checkedLookup(
  resolve: Resolve = (name) => systemLookup(name, { all: true, verbatim: true }),
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const [first] = found;
        const hidden = found.find(({ address }) => !isPublicAddress(address));
        if (hidden) callback(privateAddress(hostname, hidden.address), []);
        else if (!first) callback(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), []);
        else if (options.all) callback(null, found);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

/** @throws QuasarError `hub.private_address` when the host is such an address in digits */
export function checkLiteral(hostname: string): void {
  const address = bare(hostname);
  if (isIP(address) !== 0 && !isPublicAddress(address)) throw privateAddress(hostname, address);
}

function privateAddress(hostname: string, address: string): QuasarError {
  return new QuasarError(
    'hub.private_address',
    `hub: ${hostname} leads to ${address}, which is not of the public internet`,
    {
      hint: 'a hub of your own network is given with http:// or by its address in digits',
      retry: 'later',
    },
  );
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
