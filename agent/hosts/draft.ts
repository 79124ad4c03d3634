/** The draft that an external risk analysis is about (securechange: Kinds and what they must answer). */
import type { Answer } from './answers.ts';
import { isAt, scanXml } from './scan.ts';

const UUID = ['field_info', 'field', 'access_request', 'uuid'];

/** The ids of its access requests, each of which needs a result, or undefined if the bytes are no draft that can be read. */
export function accessRequestsIn(draft: Buffer): string[] | undefined {
  const uuids: string[] = [];
  let root: string | undefined;
  const isXml = scanXml(draft, (names, text) => {
    root = names[0];
    if (isAt(UUID, names)) uuids.push(text);
  });
  return isXml && root === 'field_info' ? uuids : undefined;
}

/** The access requests of the draft for which the answer has no result; none if the draft cannot be read. */
export function withoutResult(answer: Answer | undefined, draft: Buffer): string[] {
  if (answer?.type !== 'risk') return [];
  const answered = new Set(answer.results.map(({ field_uuid }) => field_uuid));
  return (accessRequestsIn(draft) ?? []).filter((uuid) => !answered.has(uuid));
}
