/** What a host reads out of the stdout of a script: one reading, for the agent that checks an answer and for `simulate` that plays the host. */
import { z } from 'zod';
import { parseXml } from './xml.ts';

export type Answer =
  | { type: 'condition'; value: boolean }
  /** Names of the tasks. */
  | { type: 'tasks'; names: string[] }
  | { type: 'risk'; results: { field_uuid: string; status: string }[] }
  | { type: 'verdict'; result: string; message: string | undefined };

export type Read = { ok: true; answer: Answer } | { ok: false; problem: string };

/** @param value parsed JSON */
export function readVerdict(value: unknown): Read {
  const parsed = Verdict.safeParse(value);
  if (!parsed.success) return { ok: false, problem: `the answer is not a verdict like {"result":"success"}: ${describe(parsed.error)}` };
  return { ok: true, answer: { type: 'verdict', result: parsed.data.result, message: parsed.data.message } };
}

export function readXmlAnswer(type: 'condition' | 'tasks' | 'risk', text: string): Read {
  const xml = parseXml(text);
  if (!xml.ok) return { ok: false, problem: `the answer ${xml.problem}` };
  const parsed = SCHEMAS[type].safeParse(xml.value);
  if (parsed.success) return { ok: true, answer: parsed.data };
  return { ok: false, problem: `the answer is not what the host reads: ${describe(parsed.error)}` };
}

const Verdict = z.looseObject({ result: z.string(), message: z.string().optional() });

const Condition = z
  .object({ response: z.object({ condition_result: z.enum(['true', 'false'], 'must be true or false') }) })
  .transform(({ response }): Answer => ({ type: 'condition', value: response.condition_result === 'true' }));

const Task = z.object({
  name: z.string().min(1),
  participants: z.object({ participant_username: z.array(z.string().min(1)) }),
  assignment: z
    .object({ assignment_mode: z.enum(['self', 'manual', 'auto']), assigner_username: z.string().optional() })
    .refine(({ assignment_mode, assigner_username }) => assignment_mode !== 'manual' || assigner_username !== undefined, {
      path: ['assigner_username'],
      message: 'is missing, and assignment_mode is manual',
    }),
});
const Tasks = z
  .object({
    tasks: z.union([
      z.literal(''), // no task: everything goes to the default one
      z.object({ task: z.array(Task) }),
    ]),
  })
  .transform(({ tasks }): Answer => ({ type: 'tasks', names: tasks === '' ? [] : tasks.task.map(({ name }) => name) }));

const Risk = z
  .object({
    external_risk_analysis_result: z.object({
      external_risk_analysis_result_for_fields: z.object({
        external_risk_analysis_result_for_field: z.array(z.object({ field_uuid: z.string().min(1), status: z.string().min(1) })).min(1),
      }),
    }),
  })
  .transform(({ external_risk_analysis_result: { external_risk_analysis_result_for_fields: fields } }): Answer => ({
    type: 'risk',
    results: fields.external_risk_analysis_result_for_field,
  }));

const SCHEMAS = { condition: Condition, tasks: Tasks, risk: Risk };

function describe(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join('/') ?? ''} ${issue?.message ?? ''}`.trim();
}
