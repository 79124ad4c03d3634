/** Names and addresses in agent.yaml. */
import { z } from 'zod';
import { quoting } from './issues.ts';

/** As a stub may name it in `Mediator-Audience`. */
export const Name = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9._:-]{1,255}$/, { error: quoting('is not a host name or an address', 'write it without port and brackets') });

export const Address = z.string().transform((text, context) => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  context.addIssue({ code: 'custom', message: `"${text}" is not ADDRESS:PORT, for instance 0.0.0.0:8443 or [::1]:8443` });
  return z.NEVER;
});
export type Address = z.output<typeof Address>;

/** Whether nobody but this machine can reach it. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
