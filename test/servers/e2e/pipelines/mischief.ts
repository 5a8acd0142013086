// A transform that hangs, eats all memory and ends its process, once each; rows that fail until somebody mends it; and promises that
// are forgotten while somebody wants it.
import { existsSync, writeFileSync } from 'node:fs';
import { definePipeline, DomainError, type AnyPipeline } from 'sluice';

function once(what: string): boolean {
  const mark = `${process.env['MISCHIEF'] ?? ''}/${what}`;
  if (existsSync(mark)) return false;
  writeFileSync(mark, '');
  return true;
}

const isMarked = (mark: string) => existsSync(`${process.env['MISCHIEF'] ?? ''}/${mark}`);

function exhaust(): never {
  const held: unknown[] = [];
  for (;;) held.push(Array.from({ length: 100_000 }, (_, at) => ({ at })));
}

export default definePipeline({
  name: 'mischief',
  version: 1,
  source: { columns: { id: 'integer', lane: 'string', value: 'number' }, id: (row) => row['id'] as number },
  transform: (row) => {
    const { id } = row;
    if (id === 1_000 && once('hung')) for (;;);
    if (id === 2_000 && once('exhausted')) exhaust();
    if (id === 3_000 && once('exited')) process.exit(0);
    if (isMarked('forgetful')) void Promise.reject(new Error('nobody waits for this'));
    if (Number(id) % 500 === 7 && !isMarked('mended'))
      throw new DomainError('not today', { code: 'E_NOT_TODAY' });
    return { lane: row.lane ?? '', value: row.value ?? 0 };
  },
  partitionBy: (message) => message.lane,
  analyze: {
    groupBy: (message) => message.lane,
    measures: ({ count, sum }) => ({ messages: count(), value: sum((message) => message.value) }),
  },
  partitions: 8,
  limits: { sectionBytes: 20_000 },
}) satisfies AnyPipeline;
