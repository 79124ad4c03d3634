/**
 * Which scripts may run where agent.yaml has `require-approval`: those whose bytes, and whose manifest's, somebody has approved. The file belongs
 * beside agent.yaml and not into the state folder: scripts run as the user who owns that one, and none shall approve itself.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { replaceFile } from '../config/replace-file.ts';
import { fingerprintOf } from './contents.ts';
import { checkTrust } from './trust.ts';

const Digest = z.string().regex(/^[0-9a-f]{64}$/);

/** What was approved, in SHA-256, when, and by whom. */
const Approval = z.strictObject({
  sha256: Digest,
  /** Of the manifest; empty if there was none. */
  manifest_sha256: z.union([Digest, z.literal('')]),
  at: z.iso.datetime(),
  by: z.string().max(100),
});
export type Approval = z.output<typeof Approval>;

/** By the script's name with its extension. */
const ApprovalsFile = z.strictObject({ scripts: z.record(z.string(), Approval) });

/** What an approval is compared with. */
export interface Approvable {
  name: string;
  sha256: string;
  manifestSha256: string;
}

export type ApprovalState = 'approved' | 'new' | 'changed';

export class Approvals {
  readonly #config: Pick<Config, 'approvals' | 'require-approval'>;
  #known: { fingerprint: string; scripts: Map<string, Approval> } | undefined;

  /** @param config asked every time, because a reload may change it */
  constructor(config: Pick<Config, 'approvals' | 'require-approval'>) {
    this.#config = config;
  }

  get required(): boolean {
    return this.#config['require-approval'];
  }

  /** @throws Failure `unsafe-script` if others could have written the file, `unapproved-script` if it cannot be read: then nothing is approved */
  of(name: string): Approval | undefined {
    return this.#read().get(name);
  }

  stateOf(script: Approvable): ApprovalState {
    const approval = this.of(script.name);
    if (approval === undefined) return 'new';
    return approval.sha256 === script.sha256 && approval.manifest_sha256 === script.manifestSha256 ? 'approved' : 'changed';
  }

  /** @throws Failure `unapproved-script` that says what to do */
  check(script: Approvable): void {
    if (!this.required) return;
    const state = this.stateOf(script);
    if (state === 'approved') return;
    const approval = this.of(script.name);
    const what = approval?.sha256 === script.sha256 ? `the manifest of ${script.name}` : script.name;
    const why = state === 'new' ? 'is new' : `has changed since it was approved at ${approval?.at ?? ''}`;
    throw new Failure(
      'unapproved-script',
      `${what} ${why}, and waits for approval; on the agent's host, look at it, then run: mediator-agent scripts approve ${script.name}`,
    );
  }

  #read(): Map<string, Approval> {
    const file = this.#config.approvals;
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return new Map();
    const fingerprint = fingerprintOf(stats);
    if (this.#known?.fingerprint === fingerprint) return this.#known.scripts;
    const real = realpathSync(file);
    checkTrust(path.dirname(real), real);
    const scripts = readApprovals(file);
    this.#known = { fingerprint, scripts };
    return scripts;
  }
}

/** Adds approvals. @throws Failure if the file cannot be written, or another command writes it at this moment */
export function approve(file: string, approved: Map<string, Approval>): void {
  const replacement = {
    mode: 0o644, // not a secret: the runner reads it as another user
    keepOwner: false,
    busy: 'approves scripts',
    hint: 'approvals are for whoever may write this folder, with sudo perhaps',
  };
  replaceFile(file, replacement, () => {
    const scripts = statSync(file, { throwIfNoEntry: false }) === undefined ? new Map<string, Approval>() : readApprovals(file);
    const merged = [...new Map([...scripts, ...approved])].sort(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify({ scripts: Object.fromEntries(merged) }, undefined, 2)}\n`;
  });
}

function readApprovals(file: string): Map<string, Approval> {
  try {
    return new Map(Object.entries(ApprovalsFile.parse(JSON.parse(readFileSync(file, 'utf8'))).scripts));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause).replace(/\s+/g, ' ') : Failure.from(cause).message;
    throw new Failure(
      'unapproved-script',
      `${file} cannot be read, so that nothing is approved: ${reason}; mend it, or remove it and approve anew`,
      { cause },
    );
  }
}
