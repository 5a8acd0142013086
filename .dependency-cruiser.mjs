// The layers as rules: docs and CONTRIBUTING.md tell them in words, test/gates/layers.test.ts plants a violation of each.

/** What a library is for is one place's business; a new place for it is a decision to make here. */
const libraries = {
  hyparquet: '^src/application/formats/parquet/',
  'hyparquet-compressors': '^src/application/formats/parquet/',
  hysnappy: '^src/application/formats/parquet/',
  'hyparquet-writer': '^src/entrypoints/cli/',
  '@aws-sdk/client-kinesis': '^src/(adapters/aws|testing/lambda)/',
  '@aws-sdk/client-s3': '^src/(adapters/aws|testing/lambda)/',
  '@aws-sdk/client-sns': '^src/adapters/aws/',
  '@aws-sdk/rds-signer': '^src/adapters/aws/',
  '@aws-sdk/client-sqs': '^src/(adapters/aws|testing/lambda)/',
  '@smithy/node-http-handler': '^src/adapters/aws/',
  pino: '^src/adapters/(local|aws)/log\\.ts$',
  commander: '^src/entrypoints/cli/',
  esbuild: '^src/entrypoints/cli/build/',
  'string-width': '^src/entrypoints/cli/terminal/',
  'chart.js': '^src/entrypoints/cli/report/',
  pg: '^src/adapters/postgres/pg-database\\.ts$',
  ioredis: '^src/adapters/redis/client\\.ts$',
  '@opentelemetry/api': '^src/adapters/aws/tracing\\.ts$',
};

/** Of Node, `src/application` may use what only computes. */
const computing = ['assert', 'buffer', 'crypto', 'util', 'util/types', 'zlib'];

/** Where everything that runs or is published starts. */
const functions = 'lambda/(dispatch|transform|analyze|reprocess)';
const roots = `^src/(index|testing/(lambda/)?index|entrypoints/(cli/(main|transform-thread|transform-process)|in-memory/index|${functions}))\\.ts$`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'domain-imports-only-itself',
      comment: 'The domain is pure: no package, no node: module, no other layer.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^src/domain/' },
    },
    {
      name: 'application-imports-domain-and-itself',
      comment: 'Use cases know ports, not who implements them.',
      severity: 'error',
      from: { path: '^src/application/' },
      to: { path: '^src/', pathNot: '^src/(domain|application)/' },
    },
    {
      name: 'application-computes-only',
      comment: 'I/O, time and randomness come through ports.',
      severity: 'error',
      from: { path: '^src/application/' },
      to: { dependencyTypes: ['core'], pathNot: `^(node:)?(${computing.join('|')})$` },
    },
    {
      name: 'no-other-provider',
      comment:
        'An adapter that needs another provider is two adapters: an entry point puts them together. ' +
        'Files directly in src/adapters hold what the providers bind under.',
      severity: 'error',
      from: { path: '^src/adapters/([^/]+)/' },
      to: { path: '^src/adapters/', pathNot: '^src/adapters/($1/|[^/]+\\.ts$)' },
    },
    {
      name: 'adapters-know-application-types-only',
      comment: 'What an adapter has to run of the application is given to it.',
      severity: 'error',
      from: { path: '^src/adapters/' },
      to: { path: '^src/application/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'entry-points-are-roots',
      comment: 'Nothing imports an entry point.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/entrypoints/' },
      to: { path: '^src/entrypoints/' },
    },
    {
      name: 'no-other-entry-point',
      comment: 'Entry points share what lies directly in src/entrypoints, and nothing else.',
      severity: 'error',
      from: { path: '^src/entrypoints/([^/]+)/' },
      to: { path: '^src/entrypoints/[^/]+/', pathNot: '^src/entrypoints/$1/' },
    },
    {
      name: 'testing-stays-out-of-production',
      comment: 'Contracts and fault plans are published, but nothing that runs needs them.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/testing/' },
      to: { path: '^src/testing/' },
    },
    {
      name: 'root-exports-no-adapter',
      comment: 'What a pipeline imports must not load an SDK.',
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: '^src/(adapters|entrypoints|testing)/' },
    },
    {
      name: 'container-in-module-files',
      comment: 'Only module.ts files and entry points know the container.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(entrypoints/|adapters/[^/]+/module\\.ts$)' },
      to: { path: 'node_modules/(inversify|@inversifyjs|reflect-metadata)/' },
    },
    ...Object.entries(libraries).map(([library, place]) => ({
      name: `library-${library}`,
      comment: `${library} is used in ${place} only.`,
      severity: 'error',
      from: { path: '^src/', pathNot: place },
      to: { path: `node_modules/${library.replaceAll('.', '\\.')}/` },
    })),
    {
      name: 'no-circular',
      comment: 'Modules that need each other are one module, or miss one. Types may refer to each other.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphans',
      comment: 'What nothing imports is dead.',
      severity: 'error',
      from: { path: '^src/', orphan: true },
      to: {},
    },
    {
      name: 'not-unreachable',
      comment: 'What no entry point, package root or contract reaches is dead.',
      severity: 'error',
      from: { path: roots },
      to: { path: '^src/', pathNot: roots, reachable: false },
    },
    {
      name: 'no-development-dependency',
      comment: 'The published package does not install it. Contracts run in a test runner, an optional peer.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/testing/' },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/@types/',
      },
    },
    {
      name: 'resolves',
      comment: 'Every import leads somewhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Types of somebody else's module: nothing imports them, and nothing runs them.
    exclude: { path: '^src/.*\\.d\\.ts$' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    builtInModules: { add: ['sqlite'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
    },
  },
};
