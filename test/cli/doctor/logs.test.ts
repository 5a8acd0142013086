import { describe, expect, it } from 'vitest';
import { LogScan } from '../../../src/entrypoints/cli/doctor/logs.ts';

function scan(...lines: string[]) {
  const logs = new LogScan();
  for (const line of lines) logs.add(line);
  return logs.findings();
}

const id = '8f6a1c1e-0000-4000-8000-000000000000';

describe('hidden errors in logs', () => {
  it.each([
    ['L_EXITED_EARLY', `RequestId: ${id} Process exited before completing request`],
    ['L_TIMED_OUT', `2026-11-23T08:00:00.000Z ${id} Task timed out after 300.05 seconds`],
    [
      'L_TIMED_OUT',
      `{"time":"2026-11-23T08:00:00Z","type":"platform.report","record":{"requestId":"${id}","status":"timeout"}}`,
    ],
    [
      'L_RUNTIME_EXITED',
      `RequestId: ${id} Error: Runtime exited with error: exit status 1 Runtime.ExitError`,
    ],
    ['L_RUNTIME_EXITED', `RequestId: ${id} Error: Runtime exited without providing a reason`],
    [
      'L_OUT_OF_MEMORY',
      `RequestId: ${id} Error: Runtime exited with error: signal: killed Runtime.ExitError`,
    ],
    ['L_OUT_OF_MEMORY', 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory'],
    ['L_OUT_OF_MEMORY', `REPORT RequestId: ${id} Status: error Error Type: Runtime.OutOfMemory`],
    [
      'L_NOT_AWAITED',
      `${id} ERROR Unhandled Promise Rejection {"errorType":"Runtime.UnhandledPromiseRejection"}`,
    ],
    ['L_NOT_AWAITED', '{"level":"error","code":"E_NOT_AWAITED","msg":"nobody awaited this"}'],
    ['L_FLOATING_WORK', '{"level":"error","code":"E_FLOATING_WORK"}'],
  ])('%s: %s', (code, line) => {
    expect(scan(line)).toMatchObject([{ code, count: 1, example: line }]);
  });

  it.each([
    `START RequestId: ${id} Version: $LATEST`,
    `REPORT RequestId: ${id} Duration: 299000 ms Billed Duration: 299000 ms Memory Size: 1769 MB Max Memory Used: 400 MB`,
    '{"level":"info","msg":"1,000 rows, none timed out"}',
    '',
  ])('is nothing: %s', (line) => {
    expect(scan(line)).toEqual([]);
  });

  it('are counted by kind with their first example, the most frequent first', () => {
    const killed = (request: number) => `RequestId: ${request} Error: signal: killed`;
    const found = scan('Task timed out after 3 seconds', killed(1), 'fine', killed(2));
    expect(found.map(({ code, count, example }) => [code, count, example])).toEqual([
      ['L_OUT_OF_MEMORY', 2, killed(1)],
      ['L_TIMED_OUT', 1, 'Task timed out after 3 seconds'],
    ]);
  });

  it('keep no more of a line than tells it', () => {
    expect(
      scan(`Task timed out after 3 seconds ${'x'.repeat(10_000)}`)[0]?.example.length,
    ).toBeLessThanOrEqual(400);
  });
});
