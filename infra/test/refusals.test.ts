import { describe, expect, it } from 'vitest';
import { auroraConnections, checkConnectionBudget } from '../src/budget.ts';
import { readManifest } from '../src/manifest.ts';
import { BuildFolder } from './build-folder.ts';
import { templates } from './synthesize.ts';

describe('the budget of connections', () => {
  it('counts what AWS grants, and never more', () => {
    // https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
    const granted = [
      [0.5, 1, 189],
      [0.5, 4, 823],
      [0.5, 8, 1669],
      [0.5, 16, 2000],
      [1, 16, 3360],
      [1, 32, 5000],
      [8, 256, 5000],
    ] as const;
    for (const [least, most, connections] of granted) {
      const counted = auroraConnections(least, most);
      expect(counted).toBeLessThanOrEqual(connections);
      expect(counted).toBeGreaterThan(0.88 * connections);
    }
  });

  it('is checked when the stack is synthesized, with the sum and what to do', () => {
    expect(() => templates({ databaseCapacity: '0.5-1', analyzeConcurrency: '60' })).toThrow(
      /dispatch 4 × 2 \+ analyze 60 × 2 × 2 builds \+ reprocess 4 × 2 × 2 builds = 264, but it takes 189, of which one pipeline may have 94.*analyze\.concurrency/,
    );
    expect(() =>
      templates({ databaseCapacity: '0.5-1', analyzeConcurrency: '60', databaseProxy: 'true' }),
    ).not.toThrow();
  });

  it('lets through what fits to the last one', () => {
    // Analyze and reprocess with the bundle of a build before beside their own.
    const concurrency = { dispatch: 2, analyze: 22, reprocess: 2 };
    expect(() => checkConnectionBudget(concurrency, 1, 100)).not.toThrow();
    expect(() => checkConnectionBudget({ ...concurrency, analyze: 23 }, 1, 100)).toThrow(/= 52/);
  });
});

describe('parameters', () => {
  it.each<[context: Record<string, string>, message: RegExp]>([
    [{ lake: '' }, /lakes is empty/],
    [{ transformConcurrency: '1001' }, /transform.concurrency is 1001; it has to be 2 to 1000/],
    [{ dispatchConcurrency: '1' }, /dispatch.concurrency is 1/],
    [{ transformPollers: '1-5' }, /transform.pollers.minimum is 1/],
    [{ transformPollers: 'many' }, /transformPollers=many: it has to be like 1-8/],
    [{ retryAttempts: '-1' }, /retryAttempts is -1/],
    [{ parallelizationFactor: '11' }, /parallelizationFactor is 11/],
    [{ recordBytes: '1048577' }, /whole KiB/],
    [{ recordBytes: '20971520' }, /recordBytes is 20971520/],
    [{ shards: 'many' }, /-c shards=many: it has to be a number/],
    [{ transformTimeout: '901' }, /transform.timeout in seconds is 901/],
    [{ transformRowTimeout: '101' }, /transform.rowTimeout in seconds .* is 101; it has to be 1 to 100/],
    [{ transformRowTimeout: '0' }, /transform.rowTimeout in seconds .* is 0/],
    [{ transformRowTimeout: '1.5' }, /transform.rowTimeout has to be whole seconds/],
    [{ lakeEvents: 'sometimes' }, /-c lakeEvents=sometimes: it has to be true, s3 or false/],
    [{ failureTopic: 'yes' }, /-c failureTopic=yes: it has to be true or false/],
    [{ failureTopic: 'true', endpoints: 'sqs,kinesis' }, /cannot reach SNS/],
    [{ endpoints: 'sqs,sqz' }, /there is no sqz/],
    [{ cache: 'memcached' }, /-c cache=memcached/],
    [{ vpc: 'vpc-1' }, /-c vpcZones=… is missing/],
    [{ databaseHost: 'results' }, /-c databaseResource=… is missing/],
    [{ schedule: 'rate(1 hour)' }, /-c scheduleLocations=… is missing/],
    [{ results: 'here' }, /-c results=here/],
    [{ results: 's3', cache: 'serverless' }, /claimed in Redis, and that is inside a network/],
    [{ logLevel: 'loud' }, /-c logLevel=loud/],
    [{ publishMinutes: '0' }, /publishEvery has to be at least a minute/],
    [{ stack: 'one', foundation: 'one' }, /stack and foundation are both one/],
  ])('%j are refused', (context, message) => {
    expect(() => templates(context)).toThrow(message);
  });
});

describe('the build folder', () => {
  it('has to be one, with every bundle in it', () => {
    using folder = new BuildFolder();
    expect(readManifest(folder.path)).toEqual(folder.manifest);
    expect(() => readManifest('/nowhere')).toThrow(/sluice build my-pipeline\.ts --out \/nowhere/);
    const refused = (changes: object, message: RegExp) => {
      folder.write({ ...folder.manifest, ...changes });
      expect(() => readManifest(folder.path)).toThrow(message);
    };
    refused({ pipeline: '../x' }, /pipeline is no name/);
    refused({ version: 0 }, /version is no whole number/);
    refused({ keyed: undefined }, /keyed is neither/);
    refused({ without: undefined }, /without is no list/);
    refused({ build: '../../x' }, /build is no digest/);
    refused({ functions: {} }, /functions\.dispatch has no file/);
    refused(
      { functions: { ...folder.manifest.functions, analyze: { file: 'analyze/gone.mjs' } } },
      /functions\.analyze names analyze\/gone\.mjs, which is not there/,
    );
  });

  it('has to have what the stack has: Redis for messages, a client of PostgreSQL for a database', () => {
    const withoutBoth = { without: ['redis', 'postgres'] };
    expect(() => templates({ results: 's3' }, withoutBoth)).not.toThrow();
    expect(() => templates({}, withoutBoth)).toThrow(/built without postgres, which this stack has/);
    expect(() => templates({}, { without: ['redis'] })).not.toThrow();
    expect(() => templates({}, { without: ['redis'], keyed: true })).toThrow(/built without redis/);
    expect(() => templates({}, { without: ['parquet'] })).toThrow(/built without parquet/);
  });
});
