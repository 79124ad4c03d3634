/** A script as listings show it. */
import { Failure } from '../../protocol/failures.ts';
import type { Approval, ApprovalState } from '../catalog/approvals.ts';
import type { Catalog, Script } from '../catalog/catalog.ts';

/** A script in listings. `problem` says why it cannot run; unless all that it lacks is an approval, the fields about its content are missing. */
export interface ScriptSummary {
  name: string;
  problem?: { code: string; message: string };
  sha256?: string;
  /** Empty if it has no manifest. */
  manifest_sha256?: string;
  /** Where approvals are demanded; with what was approved last, if anything was. */
  approval?: { state: ApprovalState } & Partial<Approval>;
  command?: string[];
  manifest?: unknown;
}

/** @param name as the catalog lists it */
export async function describeScript(name: string, catalog: Catalog): Promise<ScriptSummary> {
  try {
    const script = await catalog.examine(name);
    const { sha256, manifestSha256: manifest_sha256, command, manifest } = script;
    return { name, ...describeApproval(script, catalog), sha256, manifest_sha256, command, manifest };
  } catch (error) {
    return { name, problem: problemOf(error) };
  }
}

function describeApproval(script: Script, { approvals }: Catalog): Pick<ScriptSummary, 'problem' | 'approval'> {
  if (!approvals.required) return {};
  let approval: ScriptSummary['approval'];
  try {
    approval = { ...approvals.of(script.name), state: approvals.stateOf(script) };
    approvals.check(script);
    return { approval };
  } catch (error) {
    return { problem: problemOf(error), ...(approval === undefined ? {} : { approval }) };
  }
}

function problemOf(error: unknown): { code: string; message: string } {
  const { code, message } = Failure.from(error);
  return { code, message };
}
