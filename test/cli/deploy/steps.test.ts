import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { explained } from '../../../src/entrypoints/cli/deploy/calls.ts';
import { drain, type Left } from '../../../src/entrypoints/cli/deploy/drain.ts';
import { deployBuild } from '../../../src/entrypoints/cli/deploy/steps.ts';
import { findToolkit } from '../../../src/entrypoints/cli/deploy/toolkit.ts';
import { realManifest } from '../doctor/real-stack.ts';
import { AwsTwin, FOUNDATION, nothing } from './aws-twin.ts';

const OLD = 'a'.repeat(64);
const NEW = realManifest.build;
const unstopped = new AbortController().signal;
const keptIn = ['dispatch', 'transform', 'analyze', 'reprocess'].map(
  (name) => `put state/bundles/lanes/${NEW}/${name}.mjs`,
);

const MIGRATE = 'invoke analyze {"migrate":true}';
const TAKE_OVER = 'send https://sqs/orders {"pipeline":"lanes","takeOver":true}';

interface Options {
  readonly signal?: AbortSignal;
  readonly switchStacks?: () => Promise<void>;
}

async function deploy(aws: AwsTwin, { signal = unstopped, switchStacks }: Options = {}) {
  const clock = new ManualClock(0);
  const lines: string[] = [];
  const work = deployBuild(
    { manifest: realManifest, stack: 'sluice-lanes-v1', foundation: FOUNDATION, drainLimitMs: 60_000 },
    {
      calls: aws,
      clock,
      bundle: async () => new Uint8Array(1),
      switchStacks:
        switchStacks ??
        (async () => {
          aws.done.push(`switch, mapping ${aws.mapping}`);
          aws.build = NEW;
        }),
      progress: (line) => lines.push(line),
    },
    signal,
  );
  const settled = work.then(
    (outcome) => ({ outcome, thrown: undefined }),
    (thrown: unknown) => ({ outcome: undefined, thrown }),
  );
  await clock.runUntil(settled);
  return { ...(await settled), lines, ended: clock.now() };
}

describe('a deployment', () => {
  it('of a new build: bundles kept, dispatch stopped, drained, switched, tables made, the take-over ordered, dispatch on again', async () => {
    const aws = new AwsTwin(OLD);
    const { outcome } = await deploy(aws);
    expect(outcome).toEqual({ first: false, left: null });
    expect(aws.done).toEqual([
      ...keptIn,
      'disable uuid',
      'switch, mapping disabled',
      MIGRATE,
      TAKE_OVER,
      'enable uuid',
    ]);
    expect(aws.mapping).toBe('enabled');
  });

  it('of a pipeline that is not there yet: nothing to stop, bundles kept as soon as there is a bucket', async () => {
    const aws = new AwsTwin(null);
    const { outcome } = await deploy(aws);
    expect(outcome).toMatchObject({ first: true, left: null });
    expect(aws.done).toEqual(['switch, mapping enabled', ...keptIn, MIGRATE]);
  });

  it('of the same build: only the stack changes, and nothing is stopped', async () => {
    const aws = new AwsTwin(NEW);
    await deploy(aws);
    expect(aws.done).toEqual([...keptIn, 'switch, mapping enabled', MIGRATE]);
  });

  it('goes on at its limit, and says what the kept bundles have to finish', async () => {
    const aws = new AwsTwin(OLD);
    aws.depths = (url) => (url.endsWith('tasks') ? { visible: 3, inFlight: 2, delayed: 1 } : nothing);
    const { outcome, lines, ended } = await deploy(aws);
    expect(outcome?.left).toEqual({ orders: 0, tasks: 6, ageMs: 0 });
    expect(lines.join('\n')).toContain(
      'sections that are begun are finished by the kept bundles of build aaaaaaaaaaaa',
    );
    expect(aws.done).toContain('switch, mapping disabled');
    expect(ended).toBeLessThan(90_000);
  });

  it.each(['CloudFormation fails', 'Ctrl-C while it drains'])(
    'lets dispatch go on with the old build where %s',
    async (what) => {
      const aws = new AwsTwin(OLD);
      const stop = new AbortController();
      const reason = new Error(what);
      if (what.startsWith('Ctrl-C'))
        aws.depths = () => {
          stop.abort(reason);
          return { visible: 1, inFlight: 0, delayed: 0 };
        };
      const { thrown } = await deploy(aws, {
        signal: stop.signal,
        switchStacks: () => Promise.reject(reason),
      });
      expect(thrown).toBe(reason);
      expect(aws.done.slice(keptIn.length)).toEqual(['disable uuid', 'enable uuid']);
      expect(aws.mapping).toBe('enabled');
    },
  );

  it('says how to let dispatch go on where even that fails', async () => {
    const aws = new AwsTwin(OLD);
    const { lines } = await deploy(aws, {
      switchStacks: async () => {
        aws.setMapping = () => Promise.reject(new Error('gone'));
        throw new Error('no');
      },
    });
    expect(lines.at(-1)).toBe(
      'dispatch is still stopped: aws lambda update-event-source-mapping --enabled --uuid uuid',
    );
  });

  it('leaves dispatch stopped where the new build is there and its tables are not; the next one brings it to its end', async () => {
    const aws = new AwsTwin(OLD);
    aws.tables = () => {
      throw new Error('the database cannot be reached');
    };
    const { thrown, lines } = await deploy(aws);
    expect(thrown).toMatchObject({ message: 'the database cannot be reached' });
    expect(aws.mapping).toBe('disabled');
    expect(aws.done.at(-1)).toBe(MIGRATE);
    expect(lines.at(-1)).toContain('dispatch is still stopped, and orders wait');

    aws.done.length = 0;
    aws.tables = () => ({ schema: 'sluice', from: 1, to: 2, steps: ['a column'] });
    const again = await deploy(aws);
    expect(again.lines).toContain('the tables went from version 1 to 2: a column');
    expect(aws.done).toEqual([...keptIn, 'switch, mapping disabled', MIGRATE, TAKE_OVER, 'enable uuid']);
    expect(aws.mapping).toBe('enabled');
  });

  it('stopped after the tables are made orders the take-over and lets dispatch go on all the same', async () => {
    const aws = new AwsTwin(OLD);
    const stop = new AbortController();
    aws.tables = () => {
      stop.abort(new Error('Ctrl-C'));
      return { schema: null };
    };
    await deploy(aws, { signal: stop.signal });
    expect(aws.done.slice(-2)).toEqual([TAKE_OVER, 'enable uuid']);
    expect(aws.mapping).toBe('enabled');
  });

  it('refuses a stack of that name that is none of a pipeline, and touches nothing', async () => {
    const aws = new AwsTwin(OLD);
    aws.outputs = async () => ({ Website: 'https://example.com' });
    const { thrown } = await deploy(aws);
    expect(thrown).toMatchObject({ code: 'E_DEPLOY' });
    expect(aws.done).toEqual([]);
  });
});

describe('the tables', () => {
  const database = { SluiceDatabaseCluster: 'cluster', SluiceDatabaseSecret: 'secret' };
  const denied = {
    denied: 'db refuses: PAM authentication failed for user "sluice"; run `sluice migrate …`',
  };

  it('of a database that does not know the functions yet are made once it does', async () => {
    const aws = new AwsTwin(null);
    aws.database = database;
    aws.tables = () =>
      aws.done.some((line) => line.includes('GRANT CREATE'))
        ? { schema: 'sluice', from: 0, to: 1, steps: ['tables'] }
        : denied;
    const { outcome, lines } = await deploy(aws);
    expect(outcome).toMatchObject({ first: true });
    expect(aws.done.slice(1 + keptIn.length)).toEqual([
      MIGRATE,
      expect.stringMatching(/^sql cluster secret sluice: .*CREATE USER sluice/),
      'sql cluster secret sluice: GRANT rds_iam TO sluice',
      'sql cluster secret sluice: GRANT CREATE ON DATABASE sluice TO sluice',
      MIGRATE,
    ]);
    expect(lines).toContain('the tables went from version 0 to 1: tables');
  });

  it.each([
    ['somebody else’s', {}],
    ['the foundation’s, in vain', database],
  ])('of a database that refuses (%s) are a clear error that says what to do', async (_whose, outputs) => {
    const aws = new AwsTwin(null);
    aws.database = outputs;
    aws.tables = () => denied;
    const { thrown } = await deploy(aws);
    expect(thrown).toMatchObject({ code: 'E_ACCESS_DENIED', message: denied.denied });
    expect(aws.done.filter((line) => line.startsWith('sql'))).toHaveLength(outputs === database ? 3 : 0);
  });

  it('are none where results lie in S3', async () => {
    const aws = new AwsTwin(null);
    aws.tables = () => ({ schema: null });
    const { lines } = await deploy(aws);
    expect(lines.filter((line) => line.includes('tables'))).toEqual([]);
  });
});

describe('draining', () => {
  const deployed = { dispatchQueue: 'orders', taskQueue: 'tasks', analyzeFunction: 'analyze' };

  async function drainWith(looks: readonly Partial<Left>[]) {
    const clock = new ManualClock(0);
    let look = -1;
    const at = (): Partial<Left> => looks[Math.min(look, looks.length - 1)] ?? {};
    const reports: Left[] = [];
    const calls = {
      queueDepth: async (url: string) => {
        if (url === 'orders') look++;
        // Orders that wait are for the new build.
        return url === 'orders'
          ? { visible: 99, inFlight: at().orders ?? 0, delayed: 0 }
          : { visible: 0, inFlight: at().tasks ?? 0, delayed: 0 };
      },
      iteratorAge: async () => at().ageMs ?? 0,
    };
    const work = drain(
      deployed,
      { limitMs: 100_000, intervalMs: 10_000, report: (left) => reports.push(left) },
      calls,
      clock,
      unstopped,
    );
    await clock.runUntil(work);
    return { left: await work, looks: reports.length };
  }

  it('believes in calm only after three looks in a row', async () => {
    expect(await drainWith([{}])).toEqual({ left: null, looks: 3 });
    expect(await drainWith([{}, {}, { tasks: 1 }, {}])).toEqual({ left: null, looks: 6 });
  });

  it.each([{ orders: 1 }, { tasks: 1 }, { ageMs: 60_000 }])('waits for %j', async (busy) => {
    expect(await drainWith([busy, busy, {}])).toEqual({ left: null, looks: 5 });
    const { left, looks } = await drainWith([busy]);
    expect(left).toMatchObject(busy);
    // At 0, 10, …, 100 s.
    expect(looks).toBe(11);
  });
});

describe('what goes wrong on the way', () => {
  it.each([
    [
      'CredentialsProviderError',
      'Could not load credentials',
      'E_DEPLOY',
      /no credentials of AWS: set AWS_PROFILE/,
    ],
    ['Error', 'Region is missing', 'E_DEPLOY', /set AWS_REGION/],
    [
      'AccessDeniedException',
      'not authorized',
      'E_ACCESS_DENIED',
      /what sluice-lanes-v1 has: not authorized/,
    ],
    ['ThrottlingException', 'Rate exceeded', 'E_DEPLOY', /what sluice-lanes-v1 has: Rate exceeded/],
  ])('is told with what to do: %s', async (name, message, code, text) => {
    const aws = new AwsTwin(null);
    const cause = Object.assign(new Error(message), { name });
    aws.outputs = () => Promise.reject(cause);
    const call = explained(aws).outputs('sluice-lanes-v1', unstopped);
    await expect(call).rejects.toMatchObject({
      code,
      cause,
      message: expect.stringMatching(text) as unknown,
    });
  });

  it('is told before anything is built where sluice-infra is not installed', () => {
    expect(() => findToolkit('/', '/nowhere')).toThrow(
      expect.objectContaining({
        code: 'E_NOT_INSTALLED',
        message: expect.stringContaining('npm install --save-dev sluice-infra') as unknown,
      }) as Error,
    );
  });
});
