/** The shape of the product's code: layers, cycles, one doorway per library, file sizes. The tables say what holds; the rest reads and checks. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import { suite, test } from 'node:test';
import ts from 'typescript';

/** From the top to the bottom. A file imports from its own folder and from lower rows, never from a neighbour in its row or from above. */
const LAYERS = [
  ['agent/main.ts'],
  ['agent/cli/'],
  ['agent/front/', 'agent/runner/'],
  ['agent/catalog/', 'agent/journal/', 'agent/hosts/', 'agent/tasks/', 'agent/keeper/', 'agent/admin/'],
  ['agent/config/', 'agent/wire/', 'agent/process/'],
  ['agent/log.ts'],
  ['protocol/'],
];

/** Where a library, or a module of Node that is one, may be imported. A library without a row may be imported nowhere. */
const DOORWAYS: Record<string, string[]> = {
  chokidar: ['agent/catalog/'],
  commander: ['agent/cli/', 'agent/main.ts'],
  execa: ['agent/process/'],
  'fast-xml-parser': ['agent/hosts/'],
  'node:child_process': ['agent/process/'],
  'node:sqlite': ['agent/journal/'],
  htm: ['agent/admin/page/'],
  nodemailer: ['agent/tasks/'],
  pino: ['agent/log.ts'],
  preact: ['agent/admin/page/'],
  ulid: ['agent/runner/'],
  ws: ['agent/wire/'],
  yaml: ['agent/config/', 'agent/catalog/'],
  zod: ['agent/', 'protocol/'],
};

/** All that a folder may import besides its own files, where that is less than the tables above allow. */
const CLOSED: Record<string, string[]> = { 'protocol/': ['zod', 'node:crypto'] };

/** Data that product code may import. */
const DATA = ['package.json'];

const LINES = 150;
/** With a first comment that says why: `Long because …`. */
const LINES_WITH_REASON = 250;
const REASON = /\blong(er)?\b[^.]*\bbecause\b/i;

/** Path to text, of every file that is checked. */
type Sources = Map<string, string>;

suite('the architecture', () => {
  const sources = readSources(join(import.meta.dirname, '..'), ['agent', 'protocol']);

  test('the sources of the agent and of the protocol are found', () => {
    assert.ok(sources.has('agent/main.ts'));
    assert.ok(sources.has('protocol/constants.ts'));
  });
  test('a file imports from its own folder and from lower layers only', () => assert.deepEqual(layerFaults(sources), []));
  test('no file imports itself, directly or through others', () => assert.deepEqual(cycleFaults(sources), []));
  test('every library has one doorway', () => assert.deepEqual(doorwayFaults(sources), []));
  test('imports name a file of the product with its extension', () => assert.deepEqual(pathFaults(sources), []));
  test(`a file has at most ${LINES} lines, or ${LINES_WITH_REASON} and says why`, () => assert.deepEqual(sizeFaults(sources), []));
});

suite('the check of layers', () => {
  test('lower layers may be imported', () => {
    finds(
      layerFaults,
      { 'agent/cli/a.ts': "import '../config/b.ts'; import '../../protocol/c.ts';", 'agent/config/b.ts': '', 'protocol/c.ts': '' },
      0,
    );
  });
  test('an import from above is found', () => {
    finds(layerFaults, { 'agent/config/a.ts': "import { b } from '../cli/b.ts';", 'agent/cli/b.ts': '' }, 1);
  });
  test('an import of a type from above is found', () => {
    finds(layerFaults, { 'agent/log.ts': "import type { B } from './wire/b.ts';", 'agent/wire/b.ts': '' }, 1);
  });
  test('an import from a neighbour is found', () => {
    finds(layerFaults, { 'agent/front/a.ts': "export * from '../runner/b.ts';", 'agent/runner/b.ts': '' }, 1);
  });
  test('a protocol that imports the agent is found', () => {
    finds(layerFaults, { 'protocol/a.ts': "const b = await import('../agent/log.ts');", 'agent/log.ts': '' }, 1);
  });
  test('a folder that has no layer is found', () => {
    finds(layerFaults, { 'agent/utils/a.ts': '' }, 1);
  });
});

suite('the check of cycles', () => {
  test('two files that import a third are no cycle', () => {
    finds(
      cycleFaults,
      { 'agent/cli/a.ts': "import './b.ts'; import './c.ts';", 'agent/cli/b.ts': "import './c.ts';", 'agent/cli/c.ts': '' },
      0,
    );
  });
  test('a cycle of three files is found once', () => {
    const files = { 'agent/cli/a.ts': "import './b.ts';", 'agent/cli/b.ts': "import './c.ts';", 'agent/cli/c.ts': "import './a.ts';" };
    finds(cycleFaults, files, 1);
    assert.deepEqual(cycleFaults(new Map(Object.entries(files))), ['agent/cli/a.ts -> agent/cli/b.ts -> agent/cli/c.ts -> agent/cli/a.ts']);
  });
  test('a cycle by a type is found', () => {
    finds(cycleFaults, { 'agent/cli/a.ts': "import type { B } from './b.ts';", 'agent/cli/b.ts': "type A = import('./a.ts').A;" }, 1);
  });
  test('a file that imports itself is found', () => {
    finds(cycleFaults, { 'agent/cli/a.ts': "import './a.ts';" }, 1);
  });
  test('a cycle behind a file that is no part of it is found', () => {
    finds(
      cycleFaults,
      { 'agent/cli/a.ts': "import './b.ts';", 'agent/cli/b.ts': "import './c.ts';", 'agent/cli/c.ts': "import './b.ts';" },
      1,
    );
  });
});

suite('the check of doorways', () => {
  test('a library may be imported in its doorway', () => {
    finds(
      doorwayFaults,
      { 'agent/wire/a.ts': "import { WebSocket } from 'ws';", 'protocol/a.ts': "import 'zod'; import 'node:crypto';" },
      0,
    );
  });
  test('a library elsewhere is found', () => {
    finds(doorwayFaults, { 'agent/front/a.ts': "import { WebSocket } from 'ws';" }, 1);
  });
  test('a part of a library elsewhere is found', () => {
    finds(doorwayFaults, { 'agent/front/a.ts': "import 'ws/lib/receiver.js';" }, 1);
  });
  test('a module of Node that has a doorway is found elsewhere', () => {
    finds(doorwayFaults, { 'agent/runner/a.ts': "import { spawn } from 'node:child_process'; import 'node:sqlite';" }, 2);
  });
  test('a module of Node without its prefix, which would pass by its doorway, is found', () => {
    finds(
      doorwayFaults,
      { 'agent/runner/a.ts': "import { spawn } from 'child_process';", 'agent/process/a.ts': "import 'fs/promises';" },
      2,
    );
  });
  test('a library that has no doorway is found', () => {
    finds(doorwayFaults, { 'agent/front/a.ts': "import '@scope/left-pad/x.js';" }, 1);
  });
  test('a module of Node in the protocol other than node:crypto is found', () => {
    finds(doorwayFaults, { 'protocol/a.ts': "import { readFileSync } from 'node:fs';" }, 1);
  });
  test('a library that is required is found', () => {
    finds(doorwayFaults, { 'agent/front/a.ts': "const ws = require('ws');" }, 1);
  });
  test('a name in a comment or a string is no import', () => {
    finds(doorwayFaults, { 'agent/front/a.ts': "// import 'ws';\nconst a = `import 'ws'`;\n/* import('ws') */" }, 0);
  });
});

suite('the check of paths', () => {
  test('files of the product and package.json may be imported', () => {
    finds(
      pathFaults,
      { 'agent/main.ts': "import './log.ts'; import x from '../package.json' with { type: 'json' };", 'agent/log.ts': '' },
      0,
    );
  });
  test('a path without extension, a path to JavaScript and a folder are found', () => {
    finds(
      pathFaults,
      { 'agent/main.ts': "import './log'; import './log.js'; import './cli';", 'agent/log.ts': '', 'agent/cli/index.ts': '' },
      3,
    );
  });
  test('product code that imports test code is found', () => {
    finds(pathFaults, { 'agent/main.ts': "import '../test/protocol/vectors.ts';" }, 1);
  });
  test('an absolute path and a URL are found', () => {
    finds(pathFaults, { 'agent/main.ts': "import '/etc/a.ts'; import 'file:///etc/a.ts';" }, 2);
  });
});

suite('the check of sizes', () => {
  const code = (lines: number) => 'export {};\n'.repeat(lines);

  test('150 lines pass, 151 are found', () => {
    finds(sizeFaults, { 'agent/a.ts': code(150) }, 0);
    finds(sizeFaults, { 'agent/a.ts': code(151) }, 1);
  });
  test('a last line without a newline counts', () => {
    finds(sizeFaults, { 'agent/a.ts': `${code(150)}export {};` }, 1);
  });
  test('250 lines pass with a reason, 251 never', () => {
    finds(sizeFaults, { 'agent/a.ts': `/** The story of a run.\n * Long because it is one story. */\n${code(248)}` }, 0);
    finds(sizeFaults, { 'agent/a.ts': `/** The story of a run.\n * Long because it is one story. */\n${code(249)}` }, 1);
  });
  test('a reason that is not in the first comment is none', () => {
    finds(sizeFaults, { 'agent/a.ts': `/** The story of a run. */\n${code(149)}// Long because it is one story.\n` }, 1);
  });
});

function finds(faultsOf: (sources: Sources) => string[], files: Record<string, string>, count: number): void {
  const faults = faultsOf(new Map(Object.entries(files)));
  assert.equal(faults.length, count, faults.join('\n'));
}

function layerFaults(sources: Sources): string[] {
  return [...sources.keys()].flatMap((from) => {
    const upper = placeOf(from);
    if (upper === undefined) return [`${from} has no layer`];
    return filesImportedBy(from, sources)
      .filter((to) => !isBelow(upper, placeOf(to)))
      .map((to) => `${from} imports ${to}, which is not below it`);
  });
}

interface Place {
  row: number;
  folder: string;
}

function placeOf(file: string): Place | undefined {
  for (const [row, folders] of LAYERS.entries()) {
    const folder = folders.find((name) => file.startsWith(name));
    if (folder !== undefined) return { row, folder };
  }
  return undefined;
}

function isBelow(upper: Place, lower: Place | undefined): boolean {
  return lower === undefined || lower.folder === upper.folder || lower.row > upper.row;
}

/** Each cycle once, from its first file in the order of the walk. */
function cycleFaults(sources: Sources): string[] {
  const faults: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    const start = path.indexOf(file);
    if (start !== -1) faults.push([...path.slice(start), file].join(' -> '));
    if (start !== -1 || done.has(file)) return;
    for (const next of filesImportedBy(file, sources)) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return faults;
}

function doorwayFaults(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    importsOf(text)
      .filter((name) => !isPath(name))
      .flatMap((name) => doorwayFault(file, name)),
  );
}

function doorwayFault(file: string, name: string): string[] {
  if (!name.startsWith('node:') && builtinModules.includes(name)) return [`${file} imports ${name} without the prefix node:`];
  const library = name.startsWith('node:') ? name : packageOf(name);
  const doors = DOORWAYS[library] ?? (library.startsWith('node:') ? [''] : []);
  if (!doors.some((door) => file.startsWith(door)))
    return [`${file} imports ${library}, whose doorway is ${doors.join(' or ') || 'nowhere'}`];
  const closed = Object.entries(CLOSED).find(([folder, allowed]) => file.startsWith(folder) && !allowed.includes(library));
  return closed ? [`${file} imports ${library}; ${closed[0]} may import ${closed[1].join(' and ')} alone`] : [];
}

function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

function pathFaults(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    importsOf(text)
      .filter((name) => isPath(name) && !sources.has(resolve(file, name)) && !DATA.includes(resolve(file, name)))
      .map((name) => `${file} imports ${name}, which is no file of the product`),
  );
}

function sizeFaults(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) => {
    const lines = text.replace(/\n$/, '').split('\n').length;
    const limit = REASON.test(firstComment(text)) ? LINES_WITH_REASON : LINES;
    return lines > limit ? [`${file} has ${lines} lines, over ${limit}`] : [];
  });
}

function firstComment(text: string): string {
  const [first] = ts.getLeadingCommentRanges(text, text.startsWith('#!') ? text.indexOf('\n') : 0) ?? [];
  return first ? text.slice(first.pos, first.end).replace(/[\s*/]+/g, ' ') : '';
}

function filesImportedBy(file: string, sources: Sources): string[] {
  return importsOf(sources.get(file) ?? '')
    .filter(isPath)
    .map((name) => resolve(file, name))
    .filter((path) => sources.has(path));
}

/** Every module that a text names: imports, exports from, imports of types, dynamic imports, require. */
function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

function isPath(name: string): boolean {
  return /^(\.{0,2}\/|file:|#)/.test(name);
}

function resolve(file: string, name: string): string {
  return posix.join(posix.dirname(file), name);
}

function readSources(root: string, folders: string[]): Sources {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.[cm]?[jt]sx?$/.test(name))
      .map((name) => posix.join(folder, name)),
  );
  return new Map(files.sort().map((file) => [file, readFileSync(join(root, file), 'utf8')]));
}
