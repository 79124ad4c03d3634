/** How a script is started: by itself if it is executable and says how (shebang, ELF), else by the interpreter of its extension, else by bash. */
import { accessSync, constants, existsSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../protocol/failures.ts';
import { INTERPRETERS } from '../config/interpreters.ts';

/** The kernel reads no more of a shebang line (BINPRM_BUF_SIZE). */
export const HEAD_BYTES = 256;

export interface Startable {
  /** Absolute path. */
  file: string;
  /** The file's first {@link HEAD_BYTES} bytes. */
  head: Buffer;
  /** By the agent's user: {@link mayExecute}. */
  executable: boolean;
  /** From the manifest: overrides everything else. */
  interpreter: string[] | undefined;
  /** The script's PATH. */
  searchPath: string;
}

/** Program and leading arguments, the script's path included; the invocation's own arguments follow. @throws Failure `missing-interpreter` */
export function commandFor({ file, head, executable, interpreter, searchPath }: Startable): [program: string, ...args: string[]] {
  const missing = (program: string, hint: string): Failure => {
    const there = placesOf(program, searchPath).find((place) => existsSync(place));
    const [problem, remedy] =
      there === undefined ? ['does not exist on this host', hint] : ['may not be executed by this user', `look at the mode of ${there}`];
    return new Failure('missing-interpreter', `the interpreter of ${file}, ${program}, ${problem}; ${remedy}`);
  };
  const hint = 'install it, or name another one as interpreter in the manifest';

  if (interpreter !== undefined) {
    const [program = '', ...rest] = interpreter;
    const found = findProgram(program.includes('/') ? path.resolve(path.dirname(file), program) : program, searchPath);
    if (found === undefined) throw missing(program, 'correct interpreter in the manifest');
    return [found, ...rest, file];
  }
  const shebang = parseShebang(head);
  if (shebang !== undefined) {
    if (shebang.line.endsWith('\r'))
      throw missing(JSON.stringify(shebang.program), 'the file has Windows line endings; convert it with dos2unix');
    const program = shebang.program === '/usr/bin/env' ? (envTarget(shebang.argument) ?? shebang.program) : shebang.program;
    if (findProgram(program, searchPath) === undefined) throw missing(program, hint);
    return executable ? [file] : [shebang.program, ...(shebang.argument === '' ? [] : [shebang.argument]), file];
  }
  if (head.subarray(0, 4).toString('latin1') === '\x7fELF') {
    if (executable) return [file];
    throw new Failure('cannot-start', `${file} is a program that this user may not execute; run: chmod a+x ${file}`);
  }

  const name = INTERPRETERS[path.extname(file)] ?? 'bash';
  if (name === 'node') return [process.execPath, file];
  if (name === 'tsx') return [process.execPath, typescriptRunner(), file];
  const found = findProgram(name, searchPath);
  if (found === undefined) throw missing(name, hint);
  return [found, file];
}

/** tsx, or where it is not installed beside the agent, Node's own way with TypeScript: it takes the types away. */
function typescriptRunner(): string {
  try {
    return fileURLToPath(import.meta.resolve('tsx/cli'));
  } catch {
    return '--disable-warning=ExperimentalWarning';
  }
}

interface Shebang {
  /** Without `#!` and the line end. */
  line: string;
  program: string;
  /** Everything behind the program: one argument, as Linux passes it. */
  argument: string;
}

function parseShebang(head: Buffer): Shebang | undefined {
  const match = /^#![ \t]*(([^ \t\n]+)(?:[ \t]+([^\n]*?))?[ \t]*)(?:\n|$)/.exec(head.toString('latin1'));
  if (match === null) return undefined;
  const [, line = '', program = '', argument = ''] = match;
  return { line, program, argument };
}

/** The program that `env ARGUMENT` would start: the first word that is neither an option nor an assignment. */
function envTarget(argument: string): string | undefined {
  return argument.split(/[ \t]+/).find((word) => word !== '' && !word.startsWith('-') && !word.includes('='));
}

/** The absolute path of a program, or undefined. */
export function findProgram(program: string, searchPath: string): string | undefined {
  return placesOf(program, searchPath).find(mayExecute);
}

function placesOf(program: string, searchPath: string): string[] {
  return program.includes('/') ? [program] : searchPath.split(':').map((folder) => path.join(folder, program));
}

/** Whether it is a file that this user may execute, on a file system that lets files be executed. */
export function mayExecute(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    const stats = statSync(file);
    return stats.isFile() && (process.geteuid?.() === process.getuid?.() || lets(stats));
  } catch {
    return false;
  }
}

/** access(2) asks for the real user. Whoever looks as another one (`check`, run by root) has to look at the mode. */
function lets({ mode, uid, gid }: Stats): boolean {
  if (process.geteuid?.() === uid) return (mode & 0o100) !== 0;
  const groups = [process.getegid?.(), ...(process.getgroups?.() ?? [])];
  return (mode & (groups.includes(gid) ? 0o010 : 0o001)) !== 0;
}
