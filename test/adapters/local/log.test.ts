import { describe, expect, it } from 'vitest';
import { localLog } from '../../../src/adapters/local/log.ts';
import { DomainError } from '../../../src/domain/errors.ts';

function logged(
  level: 'debug' | 'warn',
  write: (log: ReturnType<typeof localLog>) => void,
): Record<string, unknown>[] {
  const lines: string[] = [];
  write(localLog({ level, stream: { write: (line) => void lines.push(line) } }));
  for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('localLog', () => {
  it('writes one JSON object a line, from its level on', () => {
    const lines = logged('warn', (log) => {
      log.debug({ a: 1 }, 'no');
      log.info({ a: 1 }, 'no');
      log.warn({ task: 't1', size: 10n ** 20n }, 'two\nlines');
      log.error({}, 'last');
    });
    expect(lines).toMatchObject([
      { level: 'warn', task: 't1', size: '100000000000000000000', msg: 'two\nlines' },
      { level: 'error', msg: 'last' },
    ]);
    expect(lines[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('never writes payloads or bytes, however deep they lie', () => {
    const secret = 'customer 4711';
    const [line] = logged('debug', (log) =>
      log.info(
        {
          payload: secret,
          failure: { id: 'f1', payload: secret, raw: [secret] },
          list: [{ row: { name: secret } }],
          part: new TextEncoder().encode(secret),
        },
        'failed',
      ),
    );
    expect(JSON.stringify(line)).not.toContain(secret);
    expect(line).toMatchObject({ failure: { id: 'f1' }, part: '13 bytes' });
  });

  it('tells an error with its code and causes, and survives a cycle', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const error = new DomainError('no', { code: 'E_JSON', cause: new Error('inner') });
    const [line] = logged('debug', (log) => log.error({ error, cycle }, 'failed'));
    expect(line).toMatchObject({
      error: { name: 'DomainError', code: 'E_JSON', message: 'no', cause: { message: 'inner' } },
    });
  });
});
