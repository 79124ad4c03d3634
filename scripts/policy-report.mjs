#!/usr/bin/env node
// Reports how the installation of a policy went, target by target.
//
// Check Point SmartTask, trigger After Install Policy.
// argv       Base64 of the payload (JSON); MEDIATOR_PAYLOAD_FILE names a file with the same, decoded, of any size
// stdout     one line for the installation, one for each target
// exit code  0 if the policy was installed; 1 if not, or if the payload cannot be read
import { readFileSync } from 'node:fs';

const { MEDIATOR_PAYLOAD_FILE: file } = process.env;

try {
  const payload = parse(file ? readFileSync(file) : decode(process.argv[2]));
  for (const line of report(payload)) console.log(line);
  process.exitCode = succeeded(payload.installPolicyResult) ? 0 : 1;
} catch (error) {
  console.error(`policy-report: ${error.message}`);
  process.exitCode = 1; // not process.exit(): it would cut off output that is still on its way into the pipe
}

/** Buffer.from() skips what is not Base64 without a word, so that is checked first. */
function decode(argument) {
  if (!argument) throw new Error('no payload: the first argument is missing');
  const text = argument.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Error('the argument is not Base64');
  return Buffer.from(text, 'base64');
}

function parse(bytes) {
  let payload;
  try {
    payload = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new Error(`the payload is not JSON: ${error.message}`, { cause: error });
  }
  if (typeof payload?.installPolicyResult !== 'string') throw new Error('the payload has no installPolicyResult');
  return payload;
}

function report(payload) {
  const { policyPackage = 'unknown', initiator = 'unknown', installPolicyResult, tasksResult } = payload;
  const targets = Array.isArray(tasksResult) ? tasksResult : [];
  return [
    `policy ${policyPackage}, installed by ${initiator} on ${targets.length} target${targets.length === 1 ? '' : 's'}: ${installPolicyResult}`,
    ...targets.map((task) => `  ${describe(task)}`),
  ];
}

/** The name of the target, and whatever else the entry says: what that is differs by version. */
function describe(task) {
  if (task === null || typeof task !== 'object') return String(task);
  const { target = 'unknown', ...rest } = task;
  const details = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [target, ...details].join('  ');
}

/** "Success" is what SmartTasks send, "succeeded" and "succeeded with warnings" are the words of the management API. */
function succeeded(result) {
  return /^succe(ss|eded)\b/i.test(result);
}
