/**
 * What a script gets as arguments and stdin. Check Point's payload comes as Base64 in an argument (stub) or as JSON on stdin (web request), and a
 * script gets it in both ways that it may want: as an argument, as far as Linux can pass one, and as a file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import type { Manifest } from '../catalog/manifest.ts';
import { decodePayload } from '../hosts/payload.ts';
import { NOTHING } from '../keeper/digest.ts';
import type { Invocation } from './invocation.ts';
import type { Stdin } from './spool.ts';

export interface ScriptInput {
  args: string[];
  stdin: Stdin;
  env: { MEDIATOR_PAYLOAD_FILE?: string };
}

const NO_STDIN: Stdin = { ...NOTHING, bytes: undefined, file: undefined };

/** Refuses a payload that the script could not be given. @throws Failure `argument-too-long` */
export function checkInput(invocation: Invocation, manifest: Manifest): void {
  if (!isPayloadOnStdin(invocation) || manifest.payload === 'file') return;
  const size = Math.ceil(invocation.stdin.size / 3) * 4;
  if (size <= LIMITS.argument) return;
  throw new Failure(
    'argument-too-long',
    `the payload has ${invocation.stdin.size} bytes, ${size} as Base64; Linux passes at most ${LIMITS.argument} in one argument; ` +
      'let the script read the file that MEDIATOR_PAYLOAD_FILE names, and set "payload: file" in its manifest',
  );
}

/** @param folder the run's own, where a decoded payload is put */
export function inputOf(folder: string, invocation: Invocation, manifest: Manifest): ScriptInput {
  const { host, args, stdin } = invocation;
  if (isPayloadOnStdin(invocation) && stdin.file !== undefined) {
    const argument = manifest.payload === 'file' ? [] : [readFileSync(stdin.file).toString('base64')];
    return { args: argument, stdin: NO_STDIN, env: { MEDIATOR_PAYLOAD_FILE: stdin.file } };
  }
  const payload = host === 'checkpoint' ? decodePayload(args[0]) : undefined;
  if (payload === undefined) return { args, stdin, env: {} };
  const file = path.join(folder, 'payload.json');
  writeFileSync(file, payload, { mode: 0o600 });
  return { args, stdin, env: { MEDIATOR_PAYLOAD_FILE: file } };
}

function isPayloadOnStdin({ host, args, stdin }: Invocation): boolean {
  return host === 'checkpoint' && args.length === 0 && stdin.size > 0;
}
