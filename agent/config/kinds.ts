/** What each kind of script owes its host: one closed table (securechange: Kinds and what they must answer; checkpoint: Run Script). */

interface KindRow {
  /** `exit`: the exit code is the answer; stdout is passed on as it comes. Otherwise stdout is the answer, and is checked before the host sees it. */
  answer: 'exit' | 'condition' | 'tasks' | 'risk' | 'verdict';
  meaning: string;
}

export const KINDS = {
  trigger: { answer: 'exit', meaning: 'SecureChange: a workflow trigger' },
  condition: { answer: 'condition', meaning: 'SecureChange: a scripted condition' },
  assignment: { answer: 'tasks', meaning: 'SecureChange: dynamic assignment, scripted task' },
  'pre-assignment': { answer: 'exit', meaning: 'SecureChange: before a step is assigned' },
  risk: { answer: 'risk', meaning: 'SecureChange: external risk analysis' },
  validation: { answer: 'exit', meaning: 'SecureChange: ticket validation on submit' },
  before: { answer: 'verdict', meaning: 'Check Point: a trigger that begins with Before' },
  after: { answer: 'exit', meaning: 'Check Point: any other trigger' },
} as const satisfies Record<string, KindRow>;

export type Kind = keyof typeof KINDS;

export const KIND_NAMES = [
  'trigger',
  'condition',
  'assignment',
  'pre-assignment',
  'risk',
  'validation',
  'before',
  'after',
] as const satisfies Kind[];
