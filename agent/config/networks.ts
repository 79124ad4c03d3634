/** Networks as CIDR, for IPv4 and IPv6. */
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { quoting } from './issues.ts';

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export const Network = z.string().refine((text) => parse(text) !== undefined, {
  error: quoting('is not a network', 'write for instance 10.1.0.0/16, 2001:db8::/32 or 192.0.2.7'),
});

/** @param address of a peer, as the socket has it; a zone (`%eth0`) does not count */
export function isWithin(networks: readonly string[], address: string): boolean {
  const [plain = ''] = address.split('%');
  const family = isIP(plain);
  if (family === 0) return false;
  const list = new BlockList();
  for (const text of networks) {
    const network = parse(text);
    if (network !== undefined) list.addSubnet(network.address, network.prefix, network.family);
  }
  return list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

function parse(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? '';
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const prefix = Number(match?.[2] ?? most);
  return family === 0 || prefix > most ? undefined : { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}
