import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Network, isWithin } from '../../../agent/config/networks.ts';

suite('networks', () => {
  test('are CIDR or one address, for IPv4 and IPv6', () => {
    for (const good of ['10.0.0.0/8', '0.0.0.0/0', '192.0.2.7', '2001:db8::/32', '::/0', '::1'])
      assert.ok(Network.safeParse(good).success, good);
    for (const bad of [
      '',
      '10.0.0.0/33',
      '2001:db8::/129',
      '10.0.0',
      'example.com',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '1.2.3.4/8/8',
      'fe80::1%eth0',
    ]) {
      assert.ok(!Network.safeParse(bad).success, bad);
    }
  });
  test('hold an address or do not', () => {
    for (const [network, address, holds] of [
      ['10.1.0.0/16', '10.1.255.255', true],
      ['10.1.0.0/16', '10.2.0.0', false],
      ['10.1.2.3/16', '10.1.0.0', true], // the bits behind the prefix do not count
      ['192.0.2.7', '192.0.2.7', true],
      ['192.0.2.7', '192.0.2.8', false],
      ['0.0.0.0/0', '203.0.113.1', true],
      ['0.0.0.0/0', '2001:db8::1', false],
      ['2001:db8::/32', '2001:db8:ffff::1', true],
      ['2001:db8::/32', '2001:db9::1', false],
      ['fe80::/10', 'fe80::1%eth0', true],
      ['::1', '::1', true],
      ['10.0.0.0/8', '', false],
    ] as const) {
      assert.equal(isWithin(['198.51.100.0/24', network], address), holds, `${network} ${address}`);
    }
    assert.equal(isWithin([], '192.0.2.1'), false);
  });
});
