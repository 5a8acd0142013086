import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { awsLog, type AwsLogOptions } from '../../../src/adapters/aws/log.ts';
import { DomainError, InfrastructureError } from '../../../src/domain/errors.ts';
import { withFields } from '../../../src/entrypoints/lambda/invocation.ts';

function logged(
  write: (log: ReturnType<typeof awsLog>) => void,
  options: AwsLogOptions = {},
): Record<string, unknown>[] {
  const lines: string[] = [];
  write(awsLog({ level: 'debug', stream: { write: (line) => void lines.push(line) }, ...options }));
  for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

const SECRET = 'hunter2-4711';

describe('awsLog', () => {
  it('writes one JSON object a line, with what its invocation is about', () => {
    const lines = logged(
      (log) => {
        const first = withFields(log, { requestId: 'r1', run: 'run-1' });
        const second = withFields(log, { requestId: 'r2' });
        withFields(first, { task: 't1' }).info({ rows: 3 }, 'two\nlines');
        second.error({ run: 'own' }, 'other');
        first.debug({ requestId: 'own' }, 'its own wins');
        log.warn({}, 'none');
      },
      { fields: { pipeline: 'lane', function: 'transform' } },
    );
    const all = { pipeline: 'lane', function: 'transform' };
    expect(lines.map(({ time: _time, ...line }) => line)).toEqual([
      { level: 'info', ...all, requestId: 'r1', run: 'run-1', task: 't1', rows: 3, msg: 'two\nlines' },
      { level: 'error', ...all, requestId: 'r2', run: 'own', msg: 'other' },
      { level: 'debug', ...all, requestId: 'own', run: 'run-1', msg: 'its own wins' },
      { level: 'warn', ...all, msg: 'none' },
    ]);
    for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('looks at no field of a line that is not written: the stack of an error costs much where there are source maps', () => {
    const stack = vi.fn<() => string>(() => 'at work');
    const error = Object.defineProperty(new Error('broken'), 'stack', { get: stack });
    const log = awsLog({ level: 'silent' });
    log.error({ error }, 'the batch failed');
    expect(stack).not.toHaveBeenCalled();
    expect(logged((written) => written.error({ error }, 'the batch failed'))).toHaveLength(1);
    expect(stack).toHaveBeenCalled();
  });

  it('writes from its level on, and keeps a name once in a line', () => {
    const texts: string[] = [];
    const log = awsLog({
      level: 'warn',
      stream: { write: (line) => void texts.push(line) },
      fields: { a: 1 },
    });
    log.info({}, 'no');
    withFields(log, { a: 2, level: 'x' }).warn({ a: 3, time: 'never', msg: 'mine' }, 'yes');
    expect(texts).toHaveLength(1);
    expect(texts[0]?.match(/"(level|time|msg|a)":/g)?.sort()).toEqual([
      '"a":',
      '"level":',
      '"msg":',
      '"time":',
    ]);
    expect(JSON.parse(texts[0] as string)).toMatchObject({
      level: 'warn',
      a: 3,
      level_: 'x',
      time_: 'never',
      msg_: 'mine',
      msg: 'yes',
    });
  });

  it('keeps payloads and bytes out, unless it is asked for them', () => {
    const fields = { failure: { id: 'f1', payload: SECRET, raw: [SECRET] }, part: Buffer.from(SECRET) };
    const [line] = logged((log) => log.info(fields, 'failed'));
    expect(JSON.stringify(line)).not.toContain(SECRET);
    expect(line).toMatchObject({ failure: { id: 'f1' }, part: `${SECRET.length} bytes` });
    const [asked] = logged((log) => log.info(fields, 'failed'), { payloads: true });
    expect(asked).toMatchObject({ failure: { payload: SECRET } });
  });

  it('keeps fields out by their names, however deep and in whatever spelling', () => {
    const secrets = [
      'password',
      'dbPassword',
      'PGPASSWORD',
      'client_secret',
      'secretAccessKey',
      'X-Amz-Security-Token',
      'token',
      'Authorization',
      'api-key',
      'Set-Cookie',
      'connectionString',
      'SLUICE_DATABASE_URL',
      'Customer-Name',
    ];
    const nest = (depth: number, inner: object): object =>
      depth === 0
        ? inner
        : depth % 2 === 0
          ? { of: nest(depth - 1, inner) }
          : { of: [nest(depth - 1, inner)] };
    fc.assert(
      fc.property(
        fc.constantFrom(...secrets),
        fc.nat({ max: 9 }),
        fc.constantFrom<unknown>(
          SECRET,
          [SECRET],
          { deep: SECRET },
          new Error(SECRET),
          new Map([['a', SECRET]]),
        ),
        (name, depth, value) => {
          const [line] = logged(
            (log) => withFields(log, { at: nest(depth, { [name]: value }) }).warn({}, 'x'),
            {
              redact: ['customer_name'],
            },
          );
          expect(JSON.stringify(line)).not.toContain(SECRET);
        },
      ),
    );
    expect(logged((log) => log.info({ key: 'k', bucket: 'b', tokenised: 1, cause: 'c' }, 'x'))).toMatchObject(
      [{ key: 'k', bucket: 'b', tokenised: 1, cause: 'c' }],
    );
  });

  it('keeps secrets out of texts, by what stands around them', () => {
    const texts = [
      `cannot connect to postgres://sluice:${SECRET}@db.example:5432/lake`,
      `redis://:${SECRET}@h and rediss://u:a@${SECRET}@h`,
      `host=db password=${SECRET} dbname=lake`,
      `{"password":"${SECRET}","user":"u"}`,
      `Authorization: Bearer ${SECRET}`,
      `https://s3/x?X-Amz-Credential=${SECRET}&X-Amz-Signature=${SECRET}`,
      `secret = '${SECRET}'`,
      `${'x'.repeat(8_150)} postgres://sluice:${SECRET}${'y'.repeat(50)}@db`,
    ];
    for (const text of texts) {
      const error = new InfrastructureError(text, { cause: new Error(text, { cause: text }) });
      const lines = logged((log) => {
        log.error({ error, text, list: [text], url: { of: text } }, text);
        log.info({ [`field ${text.slice(0, 9)}`]: text }, 'x');
      });
      expect(JSON.stringify(lines), text).not.toContain(SECRET.slice(0, 7));
    }
    const harmless = 'https://host:443/path?x=a and 12:30 at user@example.com';
    expect(logged((log) => log.info({}, harmless))[0]?.['msg']).toBe(harmless);
  });

  it('tells an error with code, position and the chain of its causes', () => {
    const object = { bucket: 'lake', key: 'a.csv', version: 'v', size: 1 } as never;
    const error = new DomainError('no', {
      code: 'E_JSON',
      position: { kind: 'row', object, coordinate: 77, output: 2 },
      cause: new AggregateError(
        [new Error('one'), Object.assign(new Error('two'), { code: 'ECONNRESET' })],
        'both',
      ),
    });
    const [line] = logged((log) => log.error({ error }, 'failed'));
    expect(line).toMatchObject({
      error: {
        name: 'DomainError',
        code: 'E_JSON',
        retryable: false,
        position: 'lake/a.csv@77[2]',
        message: 'no',
        stack: expect.stringContaining('log.test.ts') as string,
        cause: { message: 'both', errors: [{ message: 'one' }, { code: 'ECONNRESET' }] },
      },
    });
  });

  it('takes anything, and stays within bounds', () => {
    const cycle: Record<string, unknown> = {
      big: 10n ** 20n,
      sign: Symbol('s'),
      call: () => 1,
      none: undefined,
    };
    cycle['self'] = cycle;
    cycle['toJSON'] = () => {
      throw new Error('never called');
    };
    const hostile = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('ha');
      },
    });
    const lines = logged((log) => {
      log.info({ cycle }, 'x');
      log.info({ hostile }, 'still said');
      log.info(
        { text: 'x'.repeat(1_000_000), list: Array(10_000).fill('x'), set: new Set([1]) },
        'y'.repeat(99_999),
      );
    });
    expect(lines).toMatchObject([
      { cycle: { big: '100000000000000000000', call: '[function]' } },
      { notLogged: 'ha', msg: 'still said' },
      { set: [1] },
    ]);
    expect(JSON.stringify(lines[2]).length).toBeLessThan(20_000);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (fields) => {
        expect(logged((log) => log.info(fields, 'x'))).toMatchObject([{ level: 'info', msg: 'x' }]);
      }),
    );
  });
});

describe('awsLog by itself', () => {
  afterEach(() => void vi.restoreAllMocks());
  it('writes to standard output', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    awsLog().warn({ a: 1 }, 'here');
    awsLog().debug({ a: 1 }, 'not here');
    expect(write.mock.calls).toHaveLength(1);
    expect(write.mock.calls[0]?.[0]).toContain('"msg":"here"');
  });
});
