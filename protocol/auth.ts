/**
 * The two proofs of the opening handshake (protocol/README.md, section 1): the halves of one HMAC-SHA256 (RFC 2104) over a canonical string.
 * Pure: values in, values out; clocks and key stores belong to the front.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { RUN_PATH, SUBPROTOCOL } from './constants.ts';

/** What the stub claims in its `Mediator-Audience` and `Authorization` headers, and proves by the HMAC. */
export interface Claim {
  /** The host name or address that the stub dialed: lower case, no port, no brackets. */
  audience: string;
  /** The key's id. */
  key: string;
  /** Seconds since the epoch, in decimal digits, as they stand in the header. */
  time: string;
  /** 32 lower-case hex digits. */
  nonce: string;
}

/** Key ids, as regular expression source. */
export const KEY_ID = '[A-Za-z0-9._-]{1,64}';
/** Secrets, as regular expression source. */
export const SECRET = '[A-Za-z0-9_-]{32,64}';

const AUTHORIZATION = new RegExp(
  `^Mediator key="(${KEY_ID})", time="(0|[1-9][0-9]{0,15})", nonce="([0-9a-f]{32})", proof="([0-9a-f]{32})"$`,
);
const AUDIENCE = /^[a-z0-9._:-]{1,255}$/;

/** `GET` for a WebSocket, `POST` for two bodies (protocol/README.md, section 7). */
export type Method = 'GET' | 'POST';

/** Block of SHA-256, in bytes. */
const BLOCK = 64;

/** Hex digits of a proof: 128 bits, the least that RFC 2104 (section 5) lets an HMAC-SHA256 be cut to. */
const PROOF_DIGITS = 32;

/** What is the same in every call fills whole blocks, so that a stub can carry the state of the hash after them. */
export function canonicalString(claim: Claim, method: Method = 'GET'): string {
  const constant = [SUBPROTOCOL, method, RUN_PATH, claim.audience, claim.key, ''].join('\n');
  return `${constant.padEnd(Math.ceil(constant.length / BLOCK) * BLOCK)}${claim.time}\n${claim.nonce}`;
}

/** The stub's proof: 32 lower-case hex digits. */
export function stubProof(secret: string, claim: Claim, method?: Method): string {
  return bothProofs(secret, claim, method).stub;
}

/** The agent's proof of the same claim: 32 lower-case hex digits. */
export function agentProof(secret: string, claim: Claim, method?: Method): string {
  return bothProofs(secret, claim, method).agent;
}

/** Who sees one half learns nothing of the other without the secret: HMAC-SHA256 is a pseudo-random function. */
export function bothProofs(secret: string, claim: Claim, method?: Method): { stub: string; agent: string } {
  const digits = createHmac('sha256', secret).update(canonicalString(claim, method)).digest('hex');
  return { stub: digits.slice(0, PROOF_DIGITS), agent: digits.slice(PROOF_DIGITS) };
}

/** Compares two proofs in constant time. */
export function proofsMatch(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The value of the `Authorization` header. */
export function formatAuthorization(claim: Claim, proof: string): string {
  return `Mediator key="${claim.key}", time="${claim.time}", nonce="${claim.nonce}", proof="${proof}"`;
}

/** The claim and the proof in two header values, or undefined if either is missing or malformed. */
export function parseAuthorization(
  authorization: string | undefined,
  audience: string | undefined,
): { claim: Claim; proof: string } | undefined {
  const match = AUTHORIZATION.exec(authorization ?? '');
  if (match === null || audience === undefined || !AUDIENCE.test(audience)) return undefined;
  const [, key = '', time = '', nonce = '', proof = ''] = match;
  return { claim: { audience, key, time, nonce }, proof };
}
