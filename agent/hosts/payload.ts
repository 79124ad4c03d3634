/** Check Point's argument: the payload as Base64 of its JSON (hosts: Run Script). */

/** The bytes of the JSON, or undefined if the argument is not Base64 (standard alphabet, RFC 4648, line breaks allowed). */
export function decodePayload(argument: string | undefined): Buffer | undefined {
  const compact = argument?.replace(/[\r\n]/g, '') ?? '';
  if (compact === '' || compact.length % 4 === 1 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  return Buffer.from(compact, 'base64');
}
