import { describe, expect, it } from 'vitest';
import { count } from '../../src/domain/measure.ts';
import { isDomainError } from '../../src/domain/errors.ts';
import { defaultLimits } from '../../src/domain/limits.ts';
import { definePipeline, isPipeline, type AnyPipeline } from '../../src/domain/pipeline.ts';

const base = {
  name: 'lanes',
  version: 1,
  source: {},
  transform: (row: unknown) => row,
  analyze: { groupBy: () => 'g', measures: { all: count() } },
};
const define = (changed: object): AnyPipeline => definePipeline({ ...base, ...changed } as never);
const analyze = (changed: object) => ({ analyze: { ...base.analyze, ...changed } });

describe('definePipeline', () => {
  it('fills in every default', () => {
    const pipeline = define({});
    expect(pipeline).toMatchObject({
      partitions: 32,
      frames: 'packed',
      limits: defaultLimits,
      partitionBy: undefined,
    });
    expect(define({ limits: { maxFrameMessages: 5 } }).limits).toEqual({
      ...defaultLimits,
      maxFrameMessages: 5,
    });
    expect(isPipeline(pipeline)).toBe(true);
    expect(Object.isFrozen(pipeline)).toBe(true);
    expect([{}, null, 1, base].map(isPipeline)).toEqual([false, false, false, false]);
  });

  it.each<[field: string, declaration: object]>([
    ['name', { name: '' }],
    ['name', { name: 'a b' }],
    ['name', { name: 'x'.repeat(65) }],
    ['name', { name: 'lanes\n' }],
    ['name', { name: 7 }],
    ['version', { version: 0 }],
    ['version', { version: 1.5 }],
    ['version', { version: '1' }],
    ['source', { source: null }],
    ['source', { source: undefined }],
    ['source.format', { source: { format: 'xml' } }],
    ['source.compression', { source: { compression: 'lz4' } }],
    ['source.id', { source: { id: 'id' } }],
    ['source.csv.delimiter', { source: { csv: { delimiter: ';;' } } }],
    ['source.csv.delimiter', { source: { csv: { delimiter: '\n' } } }],
    ['source.csv.delimiter', { source: { csv: { delimiter: 'ü' } } }],
    ['source.csv.quote', { source: { csv: { quote: '' } } }],
    ['source.csv.quote', { source: { csv: { quote: ',' } } }],
    ['source.csv.quote', { source: { csv: { delimiter: '|', quote: '|' } } }],
    ['source.csv.ragged', { source: { csv: { ragged: 'drop' } } }],
    ['transform', { transform: 'row' }],
    ['transform', { transform: undefined }],
    ['partitionBy', { partitionBy: 'lane' }],
    ['partitions', { partitions: 0 }],
    ['partitions', { partitions: 4097 }],
    ['partitions', { partitions: 2.5 }],
    ['frames', { frames: 'avro' }],
    ['limits.maxFrames', { limits: { maxFrames: 1 } }],
    ...Object.keys(defaultLimits).flatMap((limit): [string, object][] => [
      [`limits.${limit}`, { limits: { [limit]: 0 } }],
      [`limits.${limit}`, { limits: { [limit]: '5' } }],
    ]),
    ['masks', { masks: { rows: ['email'] } }],
    ['source.mask', { source: { mask: ['email'] } }],
    ['analyze.mask', analyze({ mask: ['email'] })],
    ['mask', { mask: null }],
    ['mask', { mask: 'email' }],
    ['mask: each list', { mask: ['email'] }],
    ['mask: each list', { mask: { row: ['email'] } }],
    ['mask.rows', { mask: { rows: 'email' } }],
    ['mask.messages', { mask: { messages: [''] } }],
    ['mask.messages', { mask: { messages: [7] } }],
    ['mask.rows: mail', { source: { columns: ['email'] }, mask: { rows: ['email', 'mail'] } }],
    ['mask.rows: emails.x', { source: { columns: { email: 'json' } }, mask: { rows: ['emails.x'] } }],
    ['analyze', { analyze: null }],
    ['analyze.groupBy', analyze({ groupBy: 'lane' })],
    ['analyze.findings', analyze({ findings: [] })],
    ['analyze.flag', analyze({ flag: true })],
    ['analyze.measures', analyze({ measures: null })],
    ['analyze.measures.late', analyze({ measures: { late: () => 1 } })],
    ['analyze.measures.late', analyze({ measures: { late: null } })],
  ])('names the field that is wrong: %s (%#)', (field, declaration) => {
    try {
      define(declaration);
    } catch (thrown) {
      expect(thrown).toMatchObject({
        code: 'E_PIPELINE_INVALID',
        message: expect.stringMatching(`^${field} `) as string,
      });
      expect(isDomainError(thrown)).toBe(true);
      return;
    }
    throw new Error('it was taken');
  });
});
