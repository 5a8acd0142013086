import { describe, expect, it } from 'vitest';
import { definePipeline, type AnyPipeline } from '../../../src/domain/pipeline.ts';
import { unneededBy } from '../../../src/entrypoints/cli/deploy/unneeded.ts';

const pipeline = (id?: (row: object) => string): AnyPipeline =>
  definePipeline({
    name: 'lanes',
    version: 1,
    source: id === undefined ? {} : { id },
    transform: (row) => row,
    analyze: { groupBy: () => 'all', measures: ({ count }) => ({ rows: count() }) },
  });

describe('what a deployment has no use for', () => {
  it.each<[parameters: Record<string, string>, keyed: boolean, unneeded: readonly string[]]>([
    [{ lake: 'flights' }, false, ['redis']],
    [{ lake: 'flights', results: 's3' }, false, ['redis', 'postgres']],
    [{ lake: 'flights', results: 'database' }, false, ['redis']],
    [{ lake: 'flights' }, true, []],
    [{ foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders' }, false, []],
    [{ lake: 'flights', messageQueue: 'true' }, false, []],
    [{ lake: 'flights', cache: 'nodes' }, false, []],
  ])('%j of a pipeline that names its messages: %s', (parameters, keyed, unneeded) => {
    expect(unneededBy(pipeline(keyed ? () => 'id' : undefined), parameters)).toEqual(unneeded);
  });
});
