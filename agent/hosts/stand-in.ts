/** The answer that a host gets where its script gave none. */
import { KINDS, type Kind } from '../config/kinds.ts';
import { accessRequestsIn } from './draft.ts';
import { SCAN_LIMIT } from './scan.ts';

/** What the host gets instead of what the script printed and returned. */
export interface StandIn {
  /** null: what the script printed. */
  stdout: Buffer | null;
  code: number;
}

/** What the host gets where a script of this kind failed, ran too long or answered badly. Undefined: the failure itself, as an exit code. */
export function standIn(kind: Kind, failOpen: boolean, problem: string, stdin: (most: number) => Buffer): StandIn | undefined {
  const { answer } = KINDS[kind];
  if (answer === 'verdict') {
    const verdict = failOpen ? { result: 'success' } : { result: 'failure', message: `mediator: ${problem}` };
    return { stdout: Buffer.from(`${JSON.stringify(verdict)}\n`), code: 0 };
  }
  if (!failOpen) return undefined;
  switch (answer) {
    case 'exit':
      return { stdout: null, code: 0 };
    case 'condition':
      return { stdout: Buffer.from('<response><condition_result>true</condition_result></response>'), code: 0 };
    case 'tasks':
      return { stdout: Buffer.from('<tasks></tasks>'), code: 0 };
    case 'risk':
      return cannotCompute(stdin(SCAN_LIMIT + 1));
  }
}

/** An id that can be repeated in XML as it stands. */
const PLAIN = /^[A-Za-z0-9-]{1,64}$/;

/** `CANNOT_COMPUTE` for every access request of the draft. Nothing stands in where they cannot all be found. */
function cannotCompute(draft: Buffer): StandIn | undefined {
  const uuids = accessRequestsIn(draft) ?? [];
  if (uuids.length === 0 || !uuids.every((uuid) => PLAIN.test(uuid))) return undefined;
  const results = uuids.map(
    (uuid) =>
      `<external_risk_analysis_result_for_field><field_uuid>${uuid}</field_uuid><status>CANNOT_COMPUTE</status><score/><comment/><detailed_report_url/><severity/></external_risk_analysis_result_for_field>`,
  );
  const xml = `<external_risk_analysis_result><external_risk_analysis_result_for_fields>${results.join('')}</external_risk_analysis_result_for_fields></external_risk_analysis_result>`;
  return { stdout: Buffer.from(xml), code: 0 };
}
