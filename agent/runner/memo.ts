/** What a later runner has to know of a run to conclude it as its own would have been: the keeper holds it, unread. */
import { z } from 'zod';
import { HOSTS } from '../../protocol/messages.ts';
import { Manifest } from '../catalog/manifest.ts';
import type { Invocation } from './invocation.ts';

const { shape } = Manifest;

export const Memo = z.object({
  manifest: z.object({
    kind: shape.kind,
    reply: shape.reply,
    'fail-open': shape['fail-open'],
    'on-caller-loss': shape['on-caller-loss'],
    serialize: shape.serialize,
    secrets: shape.secrets,
  }),
  invocation: z.object({ host: z.enum(HOSTS), event: z.string(), extra: z.record(z.string(), z.string()) }),
});
export type Memo = z.output<typeof Memo>;

export function memoOf(manifest: Manifest, { host, event, extra }: Invocation): Memo {
  const { kind, reply, serialize, secrets, 'fail-open': failOpen, 'on-caller-loss': onCallerLoss } = manifest;
  return {
    manifest: { kind, reply, serialize, secrets, 'fail-open': failOpen, 'on-caller-loss': onCallerLoss },
    invocation: { host, event, extra },
  };
}
