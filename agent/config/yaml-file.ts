/** Reads a YAML file against a schema, and names file, line and field of every fault at once. */
import { readFileSync } from 'node:fs';
import { LineCounter, isMap, isNode, isPair, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { Failure } from '../../protocol/failures.ts';
import { describeIssue, spell } from './issues.ts';

export interface Problem {
  file: string;
  /** 1-based; 0 if the file as a whole is meant. */
  line: number;
  /** Dotted path of the field; empty for the file as a whole. */
  field: string;
  message: string;
}

/** `data`: what stands in a file that has faults, of any shape; missing if that cannot be said. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; problems: Problem[]; data?: unknown };

/** Larger than any file that a person writes; keeps a stray log file from being parsed. */
const MAX_BYTES = 1024 * 1024;

/** Finds faults that a schema cannot see while others are there: it looks at data of any shape. */
export type Audit = (data: unknown) => { path: PropertyKey[]; message: string }[];

/** Reads and validates a file. A file that cannot be read is a problem like any other. */
export function readYamlFile<S extends z.ZodType>(file: string, schema: S, audit?: Audit): Parsed<z.output<S>> {
  try {
    return parseYaml(file, readFileSync(file, 'utf8'), schema, audit);
  } catch (error) {
    const message = Failure.from(error).message;
    return {
      ok: false,
      problems: [{ file, line: 0, field: '', message: message.startsWith(`${file} `) ? message.slice(file.length + 1) : message }],
    };
  }
}

export function parseYaml<S extends z.ZodType>(file: string, text: string, schema: S, audit: Audit = () => []): Parsed<z.output<S>> {
  const fault = (line: number, field: string, message: string): Problem => ({ file, line, field, message });
  if (text.length > MAX_BYTES) return { ok: false, problems: [fault(0, '', `is larger than ${MAX_BYTES} bytes`)] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error', uniqueKeys: false });
  if (document.errors.length > 0) {
    return { ok: false, problems: document.errors.map((error) => fault(lines.linePos(error.pos[0]).line, '', error.message)) };
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    return { ok: false, problems: [fault(0, '', error instanceof Error ? error.message : String(error))] };
  }
  const result = schema.safeParse(data, { error: describeIssue });
  const audited = audit(data);
  const doubled = doubledFields(document, lines).map(({ line, field, message }) => fault(line, field, message));
  if (result.success && audited.length + doubled.length === 0) return { ok: true, value: result.data };
  const issues = [...(result.error?.issues ?? []).flatMap((issue) => spell(issue, schema)), ...audited];
  const problems = issues.map(({ path, message }) => fault(lineOf(document, lines, path), path.map(String).join('.'), message));
  return { ok: false, problems: [...problems, ...doubled].sort((a, b) => a.line - b.line), data };
}

/** The library would stop at the first one, and name neither it nor the other. */
function doubledFields(document: Document, lines: LineCounter): { line: number; field: string; message: string }[] {
  const faults: { line: number; field: string; message: string }[] = [];
  visit(document, {
    Map: (_, { items }, above) => {
      const first = new Map<string, number>();
      const names = above.filter(isPair).map(({ key }) => String(key));
      for (const { key } of items) {
        const [name, line] = [String(key), lines.linePos(isNode(key) ? (key.range?.[0] ?? 0) : 0).line];
        const before = first.get(name);
        if (before === undefined) first.set(name, line);
        else
          faults.push({ line, field: [...names, name].join('.'), message: `stands twice, here and in line ${before}; remove one of them` });
      }
    },
  });
  return faults;
}

/** `file:line: field: message`, as compilers write it. */
export function formatProblem({ file, line, field, message }: Problem): string {
  return `${file}${line > 0 ? `:${line}` : ''}: ${field === '' ? '' : `${field}: `}${message}`;
}

/** The line of a field's name, or of the nearest parent that exists. */
function lineOf(document: Document, lines: LineCounter, path: PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const keys = path.slice(0, depth);
    const parent: unknown = depth === 1 ? document.contents : document.getIn(keys.slice(0, -1), true);
    const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === String(keys.at(-1))) : undefined;
    const node: unknown = pair?.key ?? document.getIn(keys, true);
    const range: unknown = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
    if (Array.isArray(range) && typeof range[0] === 'number') return lines.linePos(range[0]).line;
  }
  return 1;
}
