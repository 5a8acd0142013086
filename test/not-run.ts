import { globSync } from 'node:fs';

/** Says at the end of `npm test` what it does not run, and how that is run. */
export function teardown(): void {
  const count = (folder: string) => globSync(`test/${folder}/**/*.test.ts`).length;
  process.stdout.write(
    [
      'Not run here:',
      `  ${count('servers')} files in test/servers, against redis-server, PostgreSQL and AWS's runtime client: npm run test:servers`,
      `  ${count('package')} file in test/package, the package as it is published: npm run test:package`,
      '',
    ].join('\n'),
  );
}
