/** Check Point's input: the two payloads of its documentation and of public scripts, and which trigger gets which (checkpoint: Triggers). */
import { randomUUID } from 'node:crypto';

/** `A`: a session with its changes. `B`: a policy installation. `none`: not documented, only custom data is certain. */
const SHAPES = {
  'Before Publish': 'A',
  'After Publish': 'A',
  'Before Install Policy': 'B',
  'After Install Policy': 'B',
  'Before Submit': 'A',
  'After Submit': 'A',
  'Before Approve': 'A',
  'After Approve': 'A',
  'Before Reject': 'A',
  'After Reject': 'A',
  'Before Login': 'none',
  'CloudGuard Controller Event': 'none',
} as const;

/** Every trigger that is known. A trigger is an open text: others get payload A. */
export const TRIGGERS: readonly string[] = Object.keys(SHAPES);

/** What decides the contract. */
export function isBefore(trigger: string): boolean {
  return trigger.startsWith('Before ');
}

/**
 * The JSON, with new ids.
 * @param size bytes that it is to have; one that is longer stays as it is, and 0 is as it comes
 * @param custom the SmartTask's custom data
 */
export function newPayload(trigger: string, size: number, custom: Record<string, unknown>): Buffer {
  const shape = Object.entries(SHAPES).find(([name]) => name === trigger)?.[1] ?? 'A';
  const value = { ...{ A: sessionPayload, B: installPayload, none: () => ({}) }[shape](trigger), 'custom-data': custom };
  const bare = Buffer.from(JSON.stringify(value));
  const filled = (filler: string): string => JSON.stringify({ ...value, 'custom-data': { ...custom, filler } });
  const missing = size - Buffer.byteLength(filled(''));
  return missing < 0 ? bare : Buffer.from(filled('x'.repeat(missing)));
}

function sessionPayload(trigger: string): object {
  const published = trigger === 'After Publish';
  const host = (number: number): object => ({
    uid: randomUUID(),
    name: `web-0${number}`,
    type: 'host',
    'ipv4-address': `192.0.2.${number}`,
    tags: [],
  });
  return {
    session: {
      'session-uid': randomUUID(),
      'session-name': 'CR-1042',
      'session-description': 'Web tier, "phase 1" (Zürich)',
      published,
      ...(published ? { 'publish-time': { posix: Date.now(), 'iso-8601': new Date().toISOString() } } : {}),
      'user-name': 'simulate',
      'domain-info': { uid: randomUUID(), name: 'SMC User', 'domain-type': 'domain' },
    },
    operations: {
      'added-objects': [host(1), host(2)],
      'modified-objects': [
        { 'old-object': { uid: randomUUID(), type: 'network' }, 'new-object': { uid: randomUUID(), type: 'network' } },
        { 'new-object': { uid: randomUUID(), name: 'web-tier', type: 'group', members: [randomUUID()] } },
      ],
      'deleted-objects': [],
    },
  };
}

function installPayload(trigger: string): object {
  return {
    initiator: 'simulate',
    policyPackage: 'Standard',
    ...(trigger.startsWith('After') ? { installPolicyResult: 'Success' } : {}),
    tasksResult: [{ target: 'gw-paris' }, { target: 'gw-milan' }],
  };
}
