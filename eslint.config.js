// What the compiler cannot say: src/ imports no runtime and reads no clock, randomness or environment.
import regexp from 'eslint-plugin-regexp'
import tseslint from 'typescript-eslint'

const runtimeModules = [
  'node:*',
  'undici',
  '@hono/node-server',
  '@hono/node-server/*',
  'cloudflare:*',
  '**/functions/**',
  'fs',
  'net',
  'http',
]

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.wrangler/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ['./functions/tsconfig.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts', 'functions/**/*.ts'],
    plugins: { regexp },
    rules: {
      // Hostile text: a quadratic match of a megabyte holds up everybody for minutes.
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: runtimeModules, message: 'src/ imports no runtime: hand it in as a port' }] },
      ],
      'no-restricted-globals': [
        'error',
        'process',
        'Buffer',
        'require',
        'global',
        'performance',
        'navigator',
        'globalThis',
        'self',
        'console',
        'caches',
        'WebSocket',
        'XMLHttpRequest',
        'EventSource',
        'fetch',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'the clock is a port' },
        { object: 'Math', property: 'random', message: 'randomness is a port' },
        { object: 'crypto', property: 'getRandomValues', message: 'randomness is a port' },
        { object: 'crypto', property: 'randomUUID', message: 'randomness is a port' },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'the clock is a port' },
        { selector: 'CallExpression[callee.name="Date"]', message: 'the clock is a port' },
        { selector: 'MemberExpression[object.type="MetaProperty"]', message: 'src/ knows no files' },
        { selector: 'ImportExpression', message: 'src/ is linked as a whole' },
        {
          selector: 'VariableDeclarator > Identifier.init[name="Date"]',
          message: 'the clock is a port',
        },
      ],
    },
  },
  {
    files: ['functions/cli/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['process', 'console'].map((name) => ({ name, message: 'a command has its context only' })),
      ],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    ...tseslint.configs.disableTypeChecked,
  },
)
