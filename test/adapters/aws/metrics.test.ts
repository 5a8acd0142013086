import { afterEach, describe, expect, it, vi } from 'vitest';
import { EmfMetrics, type EmfMetricsOptions } from '../../../src/adapters/aws/metrics.ts';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import type { Counter } from '../../../src/domain/ports/ambient.ts';

const NOW = 1_780_000_000_000;

function counting(options: Partial<EmfMetricsOptions> = {}) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const metrics = new EmfMetrics(
    { clock: new ManualClock(NOW) },
    { pipeline: 'lane', version: 2, function: 'transform', stream, ...options },
  );
  const written = () =>
    lines.splice(0).map((line) => {
      expect(line.indexOf('\n')).toBe(line.length - 1);
      return JSON.parse(line) as Record<string, unknown>;
    });
  return { metrics, written };
}

describe('EmfMetrics', () => {
  it('writes one line an invocation, in the embedded metric format', () => {
    const { metrics, written } = counting({ properties: { requestId: 'r1', run: 'run-1' } });
    for (let row = 0; row < 500; row++) metrics.add('rowsRead', 2);
    metrics.add('bytesRead', 4_096);
    metrics.add('retries', 0);
    expect(written()).toEqual([]);
    metrics.flush();
    expect(written()).toEqual([
      {
        requestId: 'r1',
        run: 'run-1',
        pipeline: 'lane',
        version: '2',
        function: 'transform',
        rowsRead: 1_000,
        bytesRead: 4_096,
        retries: 0,
        _aws: {
          Timestamp: NOW,
          CloudWatchMetrics: [
            {
              Namespace: 'Sluice',
              Dimensions: [['pipeline', 'version', 'function']],
              Metrics: [
                { Name: 'rowsRead', Unit: 'Count' },
                { Name: 'bytesRead', Unit: 'Bytes' },
                { Name: 'retries', Unit: 'Count' },
              ],
            },
          ],
        },
      },
    ]);
  });

  it('counts anew after a flush, and writes nothing where nothing was counted', () => {
    const { metrics, written } = counting({ namespace: 'Lake' });
    metrics.flush();
    metrics.add('frames', 3);
    metrics.flush();
    metrics.flush();
    metrics.add('frames', 4);
    metrics.flush();
    expect(written()).toMatchObject([
      { frames: 3, _aws: { CloudWatchMetrics: [{ Namespace: 'Lake' }] } },
      { frames: 4 },
    ]);
  });

  it('puts at most 100 metrics into a line', () => {
    const { metrics, written } = counting();
    const names = Array.from({ length: 201 }, (_, at) => `c${at}`);
    for (const [at, name] of names.entries()) metrics.add(name as Counter, at);
    metrics.flush();
    const lines = written() as { _aws: { CloudWatchMetrics: { Metrics: { Name: string }[] }[] } }[];
    const described = lines.map(
      ({ _aws }) => _aws.CloudWatchMetrics[0]?.Metrics.map(({ Name }) => Name) ?? [],
    );
    expect(described.map(({ length }) => length)).toEqual([100, 100, 1]);
    expect(described.flat()).toEqual(names);
    for (const [at, line] of lines.entries())
      expect(Object.keys(line)).toEqual(expect.arrayContaining(described[at]!));
  });

  it('of invocations that run at once do not mix', () => {
    const [one, two] = [
      counting({ properties: { requestId: '1' } }),
      counting({ properties: { requestId: '2' } }),
    ];
    one.metrics.add('frames', 1);
    two.metrics.add('frames', 2);
    one.metrics.flush();
    expect(one.written()).toMatchObject([{ requestId: '1', frames: 1 }]);
    expect(two.written()).toEqual([]);
    two.metrics.flush();
    expect(two.written()).toMatchObject([{ requestId: '2', frames: 2 }]);
  });
});

describe('EmfMetrics by itself', () => {
  afterEach(() => void vi.restoreAllMocks());
  it('writes to standard output', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const metrics = new EmfMetrics(
      { clock: new ManualClock(NOW) },
      { pipeline: 'p', version: 1, function: 'f' },
    );
    metrics.add('frames', 1);
    metrics.flush();
    expect(write.mock.calls).toHaveLength(1);
    expect(write.mock.calls[0]?.[0]).toContain('"frames":1');
  });
});
