/** @file Private addresses in every form, and a name that leads to another place at the second question. */
import { describe, expect, it, test } from 'vitest';
import { createHubClient } from '../index.ts';
import { newDirectory, REVISION, serve } from '../testing/hostile.ts';
import { isPublicAddress } from './addresses.ts';

describe('addresses', () => {
  it.each([
    ...['127.0.0.1', '0.0.0.0', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '224.0.0.1'],
    ...['255.255.255.255', '::', '::1', 'fe80::1', 'fc00::1', 'fd12::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8'],
    ...['64:ff9b::7f00:1', '2002:7f00:1::', '2001:db8::1', 'ff02::1', 'hub', ''],
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each(['8.8.8.8', '172.32.0.1', '18.165.1.1', '2600:9000::1', '2a00:1450::8'])('%s is public', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );
});

describe('a name that is not what it seems', () => {
  const limits = { answerTimeoutMs: 300, retryDelaysMs: [] };
  const client = (url: string, answers: string[][], asked: string[] = []) =>
    createHubClient({
      ...{ url, cacheDirectory: newDirectory(), limits },
      resolve: async (name) => {
        asked.push(name);
        return (answers[asked.length - 1] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      },
    });

  test('public at the first question, this machine at the second: never asked here, and asked once per connection', async () => {
    let served = 0;
    const inside = await serve(() => served++);
    const { port } = new URL(inside);
    const asked: string[] = [];
    // 192.88.99.1 is a public address where nobody answers.
    const hub = client(`https://hub.example:${port}`, [['192.88.99.1'], ['127.0.0.1']], asked);
    await expect(hub.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
    expect(asked).toEqual(['hub.example']);
    await expect(hub.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.private_address', retry: 'later' });
    expect(asked).toHaveLength(2);
    expect(served).toBe(0);
  });

  test('one private address among public ones is enough', async () => {
    const hub = client('https://hub.example', [['8.8.8.8', '::1']]);
    await expect(hub.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.private_address' });
  });

  test('a name without an address is a hub that cannot be reached', async () => {
    await expect(client('https://hub.example', []).list('a/b', REVISION)).rejects.toMatchObject({
      code: 'hub.unreachable',
    });
  });
});
