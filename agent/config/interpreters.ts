/** Extensions that a name may leave out, and the interpreter of a file that has no shebang. `node` and `tsx` are the agent's own. */
export const INTERPRETERS: Record<string, string> = {
  '.py': 'python3',
  '.pl': 'perl',
  '.js': 'node',
  '.mjs': 'node',
  '.cjs': 'node',
  '.ts': 'tsx',
  '.mts': 'tsx',
  '.sh': 'bash',
  '.bash': 'bash',
  '.rb': 'ruby',
};
