/** The payload of a task's action: what the host sent, with the task's custom data nested under `custom-data` (checkpoint: "Concatenated"). */

/**
 * @param payload the host's JSON object; undefined where the host sent none (SecureChange sends a ticket)
 * @param event what is known of the event besides
 */
export function taskPayload(payload: Buffer | undefined, event: Record<string, unknown>, customData: Record<string, unknown>): string {
  const given = parseObject(payload) ?? event;
  const own = given['custom-data'];
  const nested = { ...(isObject(own) ? own : {}), ...customData };
  return JSON.stringify({ ...given, 'custom-data': nested });
}

function parseObject(payload: Buffer | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(payload?.toString() ?? '');
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
