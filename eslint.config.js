// Lint rules. Layout belongs to prettier and shfmt; layers, cycles and file sizes belong to test/architecture.test.ts.
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** What a script in plain JavaScript (scripts/*.js) may use without an import. */
const nodeGlobals = Object.fromEntries(
  ['Buffer', 'URL', 'clearTimeout', 'console', 'fetch', 'process', 'setTimeout'].map((name) => [name, 'readonly']),
);

/** What the web page may use. */
const browserGlobals = Object.fromEntries(
  [
    ...[
      'AbortController',
      'FormData',
      'TextDecoder',
      'TextDecoderStream',
      'URLSearchParams',
      'addEventListener',
      'atob',
      'clearTimeout',
      'confirm',
    ],
    ...['document', 'fetch', 'localStorage', 'location', 'removeEventListener', 'requestAnimationFrame', 'setTimeout'],
  ].map((name) => [name, 'readonly']),
);

/** node:test runs what these return, so that nothing has to await them. */
const nodeTest = [{ from: 'package', package: 'node:test', name: ['test', 'describe', 'suite', 'it'] }];

const computedImport = {
  selector: 'ImportExpression > :not(Literal).source',
  message: 'Import by a literal name: test/architecture.test.ts reads it.',
};
const exit = {
  selector: 'CallExpression[callee.object.name="process"][callee.property.name=/^(exit|reallyExit|abort)$/]',
  message: 'Only agent/main.ts exits.',
};

export default defineConfig(
  globalIgnores(['node_modules/', 'dist/', 'test/fixtures/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'max-depth': ['error', 3],
      'no-else-return': ['error', { allowElseIf: false }],
      'no-restricted-syntax': ['error', computedImport],
      'object-shorthand': 'error',
      // A value becomes a type by a schema or a guard. `as const` and `satisfies` are not casts and stay.
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: nodeTest }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/strict-boolean-expressions': ['error', { allowNullableString: true, allowNullableBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { requireDefaultForNonUnion: true }],
    },
  },
  {
    files: ['agent/**/*.ts', 'protocol/**/*.ts'],
    rules: {
      'no-console': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
    },
  },
  {
    files: ['agent/**/*.ts', 'protocol/**/*.ts'],
    ignores: ['agent/main.ts'],
    rules: { 'no-restricted-syntax': ['error', computedImport, exit] },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: nodeGlobals },
  },
  {
    files: ['agent/admin/page/*.js'],
    languageOptions: { globals: browserGlobals },
  },
);
