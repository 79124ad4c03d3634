/** A task file, `NAME.task.yaml` or `NAME.task.json`: a trigger, one action, and settings, by the names of Check Point's `add-smart-task`. */
import { z } from 'zod';

/** Seconds; Check Point's default. */
const TIME_OUT = 30;
const TIME_OUT_MAX = 3600;

const timeOut = z
  .int('must be whole seconds')
  .min(1)
  .refine((value) => value <= TIME_OUT_MAX, {
    error: ({ input }) =>
      typeof input === 'number' && input >= 1000
        ? `${input} looks like milliseconds; time-out is in seconds: write ${Math.round(input / 1000)}`
        : `is longer than ${TIME_OUT_MAX} seconds`,
  })
  .default(TIME_OUT);

const httpsUrl = z
  .url('is not a URL')
  .refine((text) => text.startsWith('https://'), 'must begin with https://; the payload is not for everybody to read');

/** SHA-1 of the certificate: 40 hex digits, any case, colons or none; kept as lower-case digits. */
const fingerprint = z.string().transform((text, context) => {
  const digits = text.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{40}$/.test(digits)) return digits;
  context.addIssue({ code: 'custom', message: 'is not a SHA-1 fingerprint: 40 hex digits, with colons or without' });
  return z.NEVER;
});

const addresses = z
  .string()
  .transform((text) => text.split(',').map((address) => address.trim()))
  .refine((list) => list.every((address) => /^[^\s@<>]+@[^\s@<>]+$/.test(address)), 'is not a list of mail addresses, separated by commas');

const RunScript = z.strictObject({ 'repository-script': z.string().min(1), 'time-out': timeOut });
const SendWebRequest = z.strictObject({
  url: httpsUrl,
  fingerprint: fingerprint.optional(),
  'shared-secret': z.string().min(1).optional(),
  'override-proxy': z.boolean().default(false),
  'proxy-url': z.url('is not a URL').optional(),
  'time-out': timeOut,
});
const SendMail = z.strictObject({
  'smtp-server': z.string().min(1),
  'mail-settings': z.strictObject({
    recipients: addresses,
    'sender-email': z.email('is not a mail address'),
    subject: z.string().max(998).default('SmartTask'),
    body: z.string().default(''),
    'cc-recipients': addresses.optional(),
    'bcc-recipients': addresses.optional(),
    attachment: z.enum(['no-attachment', 'payload']).default('no-attachment'),
  }),
});

const ACTIONS = ['run-script', 'send-web-request', 'send-mail'] as const;
const Action = z
  .strictObject({ 'run-script': RunScript.optional(), 'send-web-request': SendWebRequest.optional(), 'send-mail': SendMail.optional() })
  .refine((action) => ACTIONS.filter((name) => action[name] !== undefined).length === 1, `needs exactly one of ${ACTIONS.join(', ')}`);

/** An object, or its JSON in a string as the vendor's API has it. */
const CustomData = z.union([
  z.record(z.string(), z.unknown()),
  z.string().transform((text, context) => {
    const parsed = z.record(z.string(), z.unknown()).safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: 'is not a JSON object' });
    return z.NEVER;
  }),
]);

export const Task = z.strictObject({
  name: z.string().min(1).max(200),
  trigger: z.string().min(1).max(100),
  enabled: z.boolean().default(false),
  description: z.string().default(''),
  action: Action,
  'custom-data': CustomData.default({}),
  'fail-open': z.boolean().default(true),
  tags: z.array(z.string()).default([]),
});
export type Task = z.output<typeof Task>;

/** The action's name, for listings. */
export function actionOf({ action }: Task): (typeof ACTIONS)[number] {
  return ACTIONS.find((name) => action[name] !== undefined) ?? 'run-script';
}

/** A *before* trigger can abort the operation: its name begins so (checkpoint: Triggers). */
export function isBefore(trigger: string): boolean {
  return trigger.startsWith('Before ');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
