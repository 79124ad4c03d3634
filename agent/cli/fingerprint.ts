/** The fingerprint by which SmartConsole trusts the server of a web request: SHA-1, 20 pairs of hex digits with colons (checkpoint: Web Request). */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** @param file the certificate, or a chain that begins with it. @throws a system error, or that of OpenSSL */
export function smartConsoleFingerprint(file: string): string {
  return `SHA-1 fingerprint ${new X509Certificate(readFileSync(file)).fingerprint}`;
}
